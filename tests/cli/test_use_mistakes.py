"""Mistakes in the keys of commands that use a run are told before a run is looked for; so are numbers that are none."""

import pytest

from genlab.config.commands import ignored_device_keys

MISTAKES = {
    # the run
    "sample run=nowhere": ["nowhere: no such run folder or checkpoint"],
    "sample": ["run=latest", "below outputs", "genlab train"],
    "sample run=.": ["checkpoints/last.safetensors", "give a run folder or a checkpoint file"],
    "sample run=": ["run=:", "name a run folder"],
    # groups that a command has not, and null, which stands for the run's own data
    "sample run=G dataset=mnist": ["dataset=mnist", "'dataset'; there are: complete, condition, "],
    "compare dataset=mnist": ["dataset=mnist", "'dataset'; there are: direction, metric, "],
    "encode dataset=minst": ["dataset=minst", "'mnist'"],
    "encode dataset.size=3": ["dataset.size=3", "as in dataset="],
    "encode dataset=null run=nowhere": ["nowhere: no such run folder or checkpoint"],
    # keys that there are not, taken away and added
    "sample +label=3": ["+label=3", "write label=3"],
    "encode +dataset=mnist": ["+dataset=mnist", "write dataset=mnist"],
    "sample -m": ["-m", "genlab sample --help"],
    # former names, which are refused with the present one
    "score num_pictures=3": ["num_pictures=3", "is called num_images now"],
    "train logger.picture_metadata=false": ["is called logger.image_metadata now"],
    "train -m logger.picture_metadata=true,false": ["is called logger.image_metadata now"],
    "evaluate extractor=digits": ["extractor=digits", "write extractor=classifier"],
    "train -m evaluation.extractor=pixels,digits": ["write evaluation.extractor=classifier"],
    "sample truncation=0.7": ["truncation=0.7", "is called sampling.truncation now"],
    "evaluate truncation=0.7": ["truncation=0.7", "is called sampling.truncation now"],
    "score truncation=0.7": ["'truncation'"],
    "sample num_pictures=3": ["'num_pictures'"],  # which never was
    # several values
    "sample seed=1,2": ["seed=1,2: give one value\n"],
    "encode dataset=mnist,digits": ["dataset=mnist,digits: give one value\n"],
    "interpolate seeds=3,8": ["seeds=3,8", "seeds=[3,8]"],
    # types
    "sample run=null": ["run=null", "a text"],
    "interpolate seeds=3": ["seeds=3", "as in seeds=[3]"],
    "evaluate metrics=kernel": ["metrics='kernel'", "as in metrics=[kernel]"],
    "reconstruct skip_damaged=maybe": ["skip_damaged='maybe'", "true or false"],
    # limits
    "sample num_samples=0": ["num_samples=0", "at least 1"],
    "sample weights=null": ["weights=null", "averaged, raw"],
    "sample sampling.truncation=nan": ["sampling.truncation=nan", "finite"],
    "traverse extent=1e300": ["extent=1e+300", "at most 100"],
    "encode dataset=digits dataset.validation_fraction=nan": ["=nan", "finite"],
    # settings that only training heeds
    "sample device.foo=1": ["'foo'", "there are: deterministic, index, keep_memory, memory_budget, memory_format, "],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_is_explained(line, refused):
    text = refused(*line.split())
    assert all(part in text for part in MISTAKES[line]), text


@pytest.mark.parametrize("command", ["sample", "export"])
def test_what_a_command_does_not_heed_is_refused(command, refused):
    keys = ignored_device_keys(command)
    text = refused(command, *(f"device.{key}=1" for key in keys), problems=len(keys))
    assert all(f"device.{key}=1: means nothing to genlab {command}" in text for key in keys)


def test_several_mistakes_are_told_at_once(refused):
    text = refused("sample", "~seed", "+label=1", "hydra.run.dir=x", "num_sample=1", "num_samples=x", problems=5)
    parts = ["~seed", "+label=1", "hydra.run.dir=x", "no settings of Hydra's", "'num_samples'", "num_samples='x'"]
    assert all(part in text for part in parts), text
