"""Mistakes in the keys of commands that use a run are told before a run is looked for; so are numbers that are none."""

import pytest

from genlab.config.commands import ignored_device_keys

KEYS = [
    # groups that a command has not, and null, which stands for the run's own data
    (["sample", "run=G", "dataset=mnist"], "dataset=mnist: the config has no key 'dataset'; there are: device, "),
    (["translate", "dataset=stripes"], "dataset=stripes: the config has no key 'dataset'; there are: device, "),
    (["compare", "dataset=mnist"], "dataset=mnist: the config has no key 'dataset'; there are: direction, metric, "),
    (["sample", "dataset=null"], "dataset=null: the config has no key 'dataset'; there are: device, "),
    (["sample", "model=vae"], "model=vae: the config has no key 'model'; there are: device, "),
    (["evaluate", "evaluation=default"], "evaluation=default: the config has no key 'evaluation'"),
    (["encode", "dataset=minst"], "dataset=minst: no such dataset; did you mean 'mnist'?"),
    (["encode", "dataset.size=3"], "dataset.size=3: choose one first, as in dataset=celeba"),
    (["encode", "dataset=null", "run=nowhere"], "nowhere: no such run folder or checkpoint"),
    # keys taken away and added
    (["sample", "~seed"], "~seed: no key can be taken away here; write key=value"),
    (["train", "~seed"], "~seed: no key can be taken away here; write key=value"),
    (["train", "~trainer"], "~trainer: no key can be taken away here; write key=value"),
    (["sample", "+label=3"], "+label=3: write label=3, without +"),
    (["sample", "++label=3"], "++label=3: write label=3, without +"),
    (["encode", "+dataset=mnist"], "+dataset=mnist: write dataset=mnist, without +"),
    (["train", "+dataset=mnist"], "+dataset=mnist: write dataset=mnist, without +"),
    (["train", "++nothing=1"], "++nothing=1: write nothing=1, without +"),
    (["train", "dataset@model=mnist"], "dataset@model=mnist: write dataset=mnist, without @model"),
    # former names, which are refused with the present one
    (["score", "num_pictures=3"], "num_pictures=3: num_pictures is called num_images now"),
    (["encode", "num_pictures=3"], "num_pictures=3: num_pictures is called num_images now"),
    (["reconstruct", "num_pictures=null"], "num_pictures=null: num_pictures is called num_images now"),
    (["sample", "picture_metadata=false"], "picture_metadata=false: picture_metadata is called image_metadata now"),
    (["evaluate", "picture_metadata=true"], "picture_metadata=true: picture_metadata is called image_metadata now"),
    (["train", "logger.picture_metadata=false"], "logger.picture_metadata is called logger.image_metadata now"),
    (["train", "+logger.picture_metadata=false"], "logger.picture_metadata is called logger.image_metadata now"),
    (["train", "-m", "logger.picture_metadata=false", "seed=0,1"], "is called logger.image_metadata now"),
    (["train", "-m", "logger.picture_metadata=true,false"], "is called logger.image_metadata now"),
    (["interpolate", "pictures=[a.png,b.png]"], "pictures=[a.png,b.png]: pictures is called images now"),
    (["compare", "order=ascending"], "order=ascending: order is called direction now"),
    (["evaluate", "extractor=digits"], "extractor=digits: write extractor=classifier, as it is called now"),
    (["train", "evaluation.extractor=digits"], "write evaluation.extractor=classifier, as it is called now"),
    (["train", "-m", "evaluation.extractor=pixels,digits"], "write evaluation.extractor=classifier, as it is"),
    (["sample", "num_pictures=3"], "num_pictures=3: the config has no key 'num_pictures'; "),  # which never was
    # several values
    (["sample", "seed=1,2"], "seed=1,2: give one value\n"),
    (["sample", "seed=range(3)"], "seed=range(3): give one value\n"),
    (["encode", "dataset=mnist,digits"], "dataset=mnist,digits: give one value\n"),
    (["compare", "runs=a,b"], "runs=a,b: give one value, or a list as in runs=[a,b]"),
    (["interpolate", "seeds=3,8"], "seeds=3,8: give one value, or a list as in seeds=[3,8]"),
    # types
    (["sample", "label=x"], "label='x': must be a whole number or null"),
    (["sample", "num_samples=2.5"], "num_samples=2.5: must be a whole number"),
    (["sample", "run=null"], "run=null: must be a text"),
    (["sample", "weights=null"], "weights=null: must be one of averaged, raw"),
    (["sample", "device.threads=x"], "device.threads='x': must be a whole number or null"),
    (["interpolate", "seeds=3"], "seeds=3: must be null or a list, each a whole number, as in seeds=[3]"),
    (["interpolate", "seeds=[a]"], "seeds=['a']: must be null or a list, each a whole number\n"),
    (["evaluate", "metrics=kernel"], "metrics='kernel': must be null or a list, each a text, as in metrics=[kernel]"),
    (["reconstruct", "skip_damaged=maybe"], "skip_damaged='maybe': must be true or false"),
    (["train", "trainer.ema=[1]"], "trainer.ema=[1]: must be a number or null"),
    # numbers out of all bounds
    (["sample", "truncation=nan"], "truncation=nan: must be a finite number"),
    (["sample", "truncation=0"], "truncation=0.0: must be greater than 0"),
    (["sample", "truncation=-1"], "truncation=-1.0: must be greater than 0"),
    (["traverse", "extent=inf"], "extent=inf: must be a finite number"),
    (["traverse", "extent=1e300"], "extent=1e+300: must be at most 100"),
    (["export", "tolerance=nan"], "tolerance=nan: must be a finite number"),
    (["encode", "dataset=digits", "dataset.validation_fraction=nan"], "=nan: must be a finite number"),
    (["train", "trainer.clip=inf"], "trainer.clip=inf: must be a finite number"),
    (["train", "optimizer.lr=nan"], "optimizer.lr=nan: must be a finite number"),
    (["train", "optimizer.betas=[0.9,inf]"], "optimizer.betas=inf: must be a finite number"),
    (["train", "+optimizer.players.model.lr=nan"], "optimizer.players.model.lr=nan: must be a finite number"),
    (["train", "model=beta-vae", "dataset=shapes", "model.beta=nan"], "model.beta=nan: must be a finite number"),
    # settings that only training heeds
    (["sample", "hydra.run.dir=x"], "hydra.run.dir=x: genlab sample takes no settings of Hydra's"),
    (["compare", "hydra/job_logging=none"], "hydra/job_logging=none: genlab compare takes no settings of Hydra's"),
    (
        ["sample", "device.foo=1"],
        "there are: deterministic, index, keep_memory, memory_format, ",
    ),
]


@pytest.mark.parametrize("arguments, message", KEYS, ids=[" ".join(arguments) for arguments, _ in KEYS])
def test_is_explained(arguments, message, refused):
    assert message in refused(*arguments)


@pytest.mark.parametrize("command", ["sample", "export"])
def test_what_a_command_does_not_heed_is_refused(command, refused):
    keys = ignored_device_keys(command)
    text = refused(command, *(f"device.{key}=1" for key in keys), problems=len(keys))
    assert all(f"device.{key}=1: means nothing to genlab {command}" in text for key in keys)


def test_several_mistakes_are_told_at_once(refused):
    text = refused("sample", "~seed", "+label=1", "hydra.run.dir=x", "num_sample=1", "label=x", problems=5)
    assert all(part in text for part in ("~seed", "+label=1", "hydra.run.dir", "'num_samples'", "label='x'"))


def test_what_hydra_alone_refuses_does_not_hide_other_mistakes(refused):
    text = refused("train", "hydra.nothing=1", "sede=1", problems=2)
    assert "sede=1: the config has no key 'sede'" in text and "hydra.nothing" in text


def test_nodes_that_name_a_class_may_lose_and_gain_keys_in_training(genlab):
    outcome = genlab("train", "~optimizer.weight_decay", "+optimizer.amsgrad=true", "++seed=7", "--cfg", "job")
    assert outcome.code == 0
    assert "amsgrad: true" in outcome.out and "weight_decay" not in outcome.out and "seed: 7" in outcome.out
