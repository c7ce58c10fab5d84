"""A mistaken command line is answered by the one that was meant."""

import shlex

import pytest

from genlab.commands.corrections import corrected
from genlab.config.compose import register

MEANT = {
    # keys by their last part, by other names, and in another group
    "train lr=1e-4": "train optimizer.lr=1e-4",
    "train model=gan batch_size=64": "train model=gan trainer.batch_size=64",
    "train learning-rate=1e-4": "train optimizer.lr=1e-4",
    "train steps=100": "train trainer.max_steps=100",
    "train Batch=8": "train trainer.batch_size=8",
    "train trainer.lr=1": "train optimizer.lr=1",
    "train +lr=1": "train optimizer.lr=1",
    "train dataset=npz path=a.npz": "train dataset=npz dataset.path=a.npz",
    "train epochs=10": "train trainer.max_epochs=10 trainer.max_steps=null",
    "train trainer.max_epochs=3": "train trainer.max_epochs=3 trainer.max_steps=null",
    "train -m lr=1,2": "train -m optimizer.lr=1,2",
    "resume run=x steps=1e3 workers=2": "resume run=x trainer.max_steps=1000 loader.workers=2",
    "sample n=3 samples=4": "sample n=3 num_samples=4",
    # options, and spaces
    "train --model vae": "train model=vae",
    "train --batch-size 64 --seed=-1": "train trainer.batch_size=64 seed=-1",
    "train --logger.tensorboard": "train logger.tensorboard=true",
    "evaluate --run X": "evaluate run=X",
    "train model = gan": "train model=gan",
    "train model= gan seed =3": "train model=gan seed=3",
    "train model: gan": "train model=gan",
    "train model gan": "train model=gan",
    # words alone
    "train gan mnist conv": "train model=gan dataset=mnist network=conv",
    "sample latest": "sample run=latest",
    "sample here/run": "sample run=here/run",
    "resume outputs/a/b": "resume run=outputs/a/b",
    "info here/run/checkpoints/last.safetensors": "info run=here/run/checkpoints/last.safetensors",
    "reconstruct there": "reconstruct input=there",
    "reconstruct here": "reconstruct run=here",
    "sample here/run 10": "sample run=here/run num_samples=10",
    "reconstruct latest 10": "reconstruct run=latest num_images=10",
    "compare here there": "compare 'runs=[here,there]'",
    "train here": "train dataset=image-folder dataset.path=here",
    "train dataset=a.npz": "train dataset=npz dataset.path=a.npz",
    "train here/run": "train init_from=here/run",
    # names of choices and of metrics
    "train model=GAN dataset=Fashion_MNIST": "train model=gan dataset=fashion-mnist",
    "train -m model=vae,betaVAE": "train -m model=vae,beta-vae",
    "train device=gpu": "train device=cuda",
    "sample device=cuda:1": "sample device=cuda device.index=1",
    "sample weights=RAW": "sample weights=raw",
    "train device.precision=BF16": "train device.precision=bf16",
    "evaluate metrics=[fid]": "evaluate 'metrics=[frechet]'",
    "evaluate metrics=KID,mse,frechet": "evaluate 'metrics=[kernel,reconstruction,frechet]'",
    "evaluate metrics=all": "evaluate metrics=null",
    "train evaluation.metrics=[fid]": "train 'evaluation.metrics=[frechet]'",
    # a path with a comma
    "train dataset=npz dataset.path=a,b.npz": """train dataset=npz 'dataset.path="a,b.npz"'""",
    "reconstruct input=a,b.npz": """reconstruct 'input="a,b.npz"'""",
    # nothing, and what no grammar can guess
    "train output_dir=": "train",
    "train hydra.run.dir= seed=1": "train seed=1",
    "sample 'run=\"\"'": "sample",
    "train 'dataset.path=cost $5_{2 to $6'": """train 'dataset.path="cost $5_{2 to $6"'""",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register()
    (tmp_path / "here/run/checkpoints").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    for name in ("a.npz", "a,b.npz"):
        (tmp_path / name).touch()


@pytest.mark.parametrize("line", MEANT)
def test_the_command_to_paste_is_told(line, folder):
    command, *arguments = shlex.split(line)
    meant, mistakes = corrected(command, arguments)
    assert ["genlab", command, *meant] == shlex.split(f"genlab {MEANT[line]}")
    assert mistakes and mistakes[-1].endswith(f"genlab {MEANT[line]}")
    assert all(len(mistake.splitlines()) == 1 for mistake in mistakes)
    assert corrected(command, meant)[1] == [], "what is told is no mistake"


SOUND = [
    "train model=gan dataset=mnist trainer.max_steps=5 optimizer.lr=5e-4 +optimizer.amsgrad=true ~network.dense",
    "train -m model=vae,gan seed=0,1 hydra/launcher=joblib hydra.launcher.n_jobs=2",
    "train model=vea modle=3 trainer.max_stepz=3 --cfg job",
    "sample run=latest label=3 sampling.truncation=0.7 device=cpu",
    "evaluate metrics=[frechet,mine] device.index=1",
    "resume run=a trainer.max_steps=3 device=cpu hydra.launcher.n_jobs=1",
    "list models",
]


@pytest.mark.parametrize("line", SOUND)
def test_what_is_right_or_has_its_own_message_stays(line, folder):
    command, *arguments = shlex.split(line)
    assert corrected(command, arguments) == (arguments, [])


LINES = {
    "gan": "genlab train model=gan",
    "model=gan seed=1": "genlab train model=gan seed=1",
    "--model gan": "genlab train --model gan",
    "train lr=1": "genlab train optimizer.lr=1",
}


@pytest.mark.parametrize("line", LINES)
def test_the_command_line_says_it_in_one_line(line, refused):
    assert refused(*line.split()).endswith(f"write {LINES[line]}\n")


def test_other_mistakes_are_told_as_well(refused):
    text = refused("train", "lr=1", "batch_size=2", "sede=3", problems=3)
    assert "in all: genlab train optimizer.lr=1 trainer.batch_size=2 sede=3" in text and "'seed'" in text


@pytest.mark.parametrize("setting", ["job.chdir=true", "verbose=true", "mode=MULTIRUN", "output_subdir=a"])
def test_settings_of_hydra_that_mean_nothing_here_are_refused(setting, refused):
    assert f"hydra.{setting}: GenLab does not heed it" in refused("train", f"hydra.{setting}")


def test_a_leading_tilde_is_the_home_in_every_key_that_is_a_place(genlab, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    short = ["logger.tensorboard=false", "trainer.max_steps=1", "trainer.preview_every=null", "seed=-3"]
    assert genlab("train", *tiny, *short, "output_dir=~/Jürgen", "hydra.run.dir=~/Jürgen/写真").code == 0
    run = tmp_path / "home/Jürgen/写真"
    assert genlab("info", "run=~/Jürgen/写真").code == 0
    assert genlab("resume", "run=~/Jürgen/写真", "trainer.max_steps=2", "data_dir=~/new").code == 0
    assert f"data_dir: {tmp_path}/home/new" in (run / "config.yaml").read_text()
    assert genlab("compare", "runs=[~/Jürgen]", "output=~/page").code == 0
    assert genlab("train", *tiny, *short, "init_from=~/Jürgen/写真", 'output_dir="~/o"').code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_an_empty_variable_for_the_data_is_an_unset_one(genlab, monkeypatch):
    monkeypatch.setenv("GENLAB_DATA", "")
    assert "\ndata_dir: data  " in genlab("train", "--cfg", "job", "--resolve").out
