"""A user's mistake costs one clear line: the key, the value and the way out; no traceback, nothing written.

The tables hold what a line must name, not its sentence. Files and places that are not what they should be are in
`scripts/programs/faults/hostile.py`.
"""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from genlab.checkpoints import file as checkpoint
from genlab.config.commands import COMMANDS

MISTAKES = {
    "trian": ["trian", "'train'"],
    "xyz": ["xyz", *COMMANDS],
    # choices
    "train model=vea": ["model=vea", "'vae'"],
    "train device=gpu": ["device=gpu", "cpu"],
    "train experiment=nothing": ["experiment=nothing", "there are: "],
    "train model=[ae,vae]": ["model=[ae,vae]", "no such model"],
    # misspelt keys: of the schema, of a class, of a player
    "train trainr.max_steps=3": ["'trainr'", "'trainer'"],
    "train model.latent_dims=3": ["'latent_dims'", "'latent_dim'"],
    "train +model.latent_dims=3": ["model.latent_dims=3", "VAE", "'latent_dim'"],
    "train +optimizer.momentum=0.9": ["optimizer.momentum=0.9", "Adam"],
    "train +optimizer.players.generator.lr=1": ["optimizer.players.generator", "VAE has no such player"],
    "train optimizer.players=3": ["optimizer.players=3", "optimizer.players.model.lr"],
    "train +optimizer.players.model=3": ["optimizer.players={'model': 3}", "optimizer.players.model.lr"],
    "train ~optimizer.players": ["optimizer.players=None", "optimizer.players.model.lr"],
    "train +optimizer.players.model.lrr=1": ["optimizer.players.model.lrr=1", "Adam"],
    "train model.lr=3": ["model has no key 'lr'", "'optimizer.lr'"],
    "train dataset.batch_size=3": ["dataset has no key 'batch_size'", "'trainer.batch_size'"],
    # types
    "train dataset=npz dataset.path=2024": ["""'dataset.path="2024"'"""],
    "train seed=abc": ["seed='abc'", "a whole number"],
    "train model.latent_dim=true": ["model.latent_dim=True", "a whole number"],
    "train network.hidden=512": ["network.hidden=512", "a list, each a whole number"],
    "train optimizer.betas=[0.9]": ["optimizer.betas=[0.9]", "2 values"],
    # limits of the schema, of a constructor, of the data
    "train trainer.max_steps=null": ["trainer.max_steps=null", "trainer.max_epochs"],
    "train trainer.ema=1": ["trainer.ema=1", "below 1"],
    "train trainer.clip=inf": ["trainer.clip=inf", "finite"],
    "train optimizer.betas=[0.9,inf]": ["optimizer.betas=inf", "finite"],
    "train +optimizer.players.model.lr=nan": ["optimizer.players.model.lr=nan", "finite"],
    "train device.micro_batch=100": ["device.micro_batch=100", "divide the 128"],
    "train device.processes=3": ["device.processes=3", "trainer.batch_size=128", "divide"],
    "train device.memory_budget=lots": ["device.memory_budget=lots", "as in 512MiB"],
    "train device.memory_budget=4": ["device.memory_budget=4", "1MiB or more"],
    "train network.hidden=[0]": ["hidden=[0]", "at least 1"],
    "train network=transformer": ["network=transformer", "mlp"],
    "train model=gan network=resnet": ["network=resnet", "decoders", "conv, dcgan, mlp"],
    "train model=cyclegan network=conv": ["network=conv", "translators", "resnet"],
    # keys that are called otherwise now
    "train model.network=conv": ["model.network is called network"],
    "train model.hidden=[8]": ["model.hidden is called network.hidden"],
    "train model=cyclegan model.normalization=pixel": ["network.normalization"],
    "train model.dropout=1.5": ["dropout=1.5", "[0, 1)"],
    "train dataset.size=4": ["dataset.size=4", "range"],
    "train model=gan network=mlp trainer.batch_size=1": ["trainer.batch_size=1", "batch normalization"],
    "train model=gan model.pack=3": ["model.pack=3: ", "64 are no multiple", "change trainer.batch_size"],
    "train model=gan model.pack=2 device.micro_batch=1": [
        "model.pack=2: ",
        "1 are no multiple",
        "change device.micro_batch",
    ],
    "train trainer.batch_size=5000": ["trainer.batch_size=5000", "1617"],
    "train trainer.max_steps=1,000": ["write genlab train trainer.max_steps=1000"],
    "train -m model.latent_dim=3,0": ["model.latent_dim=0", "at least 1"],
    # data that a model cannot use, and files that are not there
    "train dataset=stripes": ["VAE requires x", "provides a, b", "datasets that fit: "],
    "train model=cyclegan dataset=digits": ["requires a, b", "stripes", "unpaired-folder"],
    "train dataset.pair=grey": ["dataset.pair=grey", "gray, edges, mask, downscale"],
    "train dataset.pair=edges": ["VAE requires x", "dataset.pair=null"],
    "train model=translate-l1 dataset=digits": ["requires a, b, pairs", "paired-folder", "dataset.pair=gray"],
    "train model=translate-l1 dataset=stripes": ["requires pairs", "paired-stripes", "dataset.pair=gray"],
    "train model=translate-l1 dataset=digits dataset.pair=gray": ["dataset.pair=gray", "grey already"],
    "train model=translate-l1 dataset=ring dataset.pair=mask": ["dataset.pair=mask", "images", "points"],
    "train model=translate-l1 dataset=paired-folder dataset.path=nowhere": ["dataset.path=nowhere", "no such folder"],
    "train dataset=image-folder": ["dataset.path"],
    "train dataset=image-folder dataset.path=nowhere": ["dataset.path=nowhere", "no such folder"],
    # the grammar
    "train model": ["'model'", "write key=value"],
    "train network.hidden=[1,": ["'network.hidden=[1,'"],
    "train ~dataset": ["~dataset", "write key=value"],
    "train +dataset=mnist": ["+dataset=mnist", "write dataset=mnist"],
    "train dataset@model=mnist": ["dataset@model=mnist", "write dataset=mnist"],
    "train seed=0,1": ["seed=0,1", "genlab train -m seed=0,1"],
    "train model=gan seed=0,1": ["genlab train -m model=gan seed=0,1"],
    "train seed=1 -m": ["-m", "genlab train -m seed=1"],
    "train -x": ["-x", "genlab train --help"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_is_explained(line, refused):
    text = refused(*line.split())
    assert all(part in text for part in MISTAKES[line]), text


def test_several_mistakes_are_told_at_once(refused):
    mistakes = {
        "dataset=digit": ["'digits'"],
        "trainer.max_step=3": ["trainer has no key 'max_step'", "'max_steps'"],
        "model.latent_dim=few": ["model.latent_dim='few'", "a whole number"],
        "trainer.log_every=0": ["trainer.log_every=0", "at least 1"],
        "device.precision=fp8": ["device.precision=fp8", "fp32, fast-fp32, bf16, fp16"],
        "sede=1": ["sede=1", "'seed'"],
    }
    text = refused("train", *mistakes, problems=len(mistakes))
    assert all(part in text for parts in mistakes.values() for part in parts), text


def test_mistakes_of_meaning_are_told_at_once(refused):
    """Shapes are checked without memory: others are found behind a model of terabytes."""
    mistakes = ["schedule.warmup=2", "init_from=nowhere", "model.latent_dim=1000000000"]
    text = refused("train", *mistakes, "trainer.early_stop_metric=elbow", problems=4)
    parts = ("schedule.warmup=2", "between 0 and 1", "no such run folder or checkpoint", "its weights need", "'elbo'")
    assert all(part in text for part in parts), text


def test_what_hydra_alone_refuses_does_not_hide_other_mistakes(refused):
    text = refused("train", "hydra.nothing=1", "sede=1", problems=2)
    assert "sede=1" in text and "hydra.nothing" in text


def test_cfg_job_prints_the_config_where_nodes_may_lose_and_gain_keys_and_trains_nothing(genlab, tmp_path):
    outcome = genlab("train", "~optimizer.weight_decay", "+optimizer.amsgrad=true", "++seed=7", "--cfg", "job")
    assert outcome.code == 0
    config = yaml.safe_load(outcome.out)
    assert config["optimizer"]["amsgrad"] and "weight_decay" not in config["optimizer"] and config["seed"] == 7
    assert {"dataset", "model", "trainer", "schedule", "device", "loader", "logger"} <= config.keys()
    assert list(tmp_path.iterdir()) == []


OUTSIDE = {
    "model._target_=os.system": "outside the trusted packages (genlab, torch.nn, torch.optim)",
    "model._target_=genlabelled.models.vae.VAE": "outside the trusted packages",
    "+optimizer.players.model._target_=os.system": "outside the trusted packages",
    "model._target_=genlab.system.seeding.torch.load": "no such class",
    "model._target_=genlab": "no such class",
    "model._target_=genlab.runs.train.train": "GenerativeModel",
    "model._target_=torch.nn.Linear": "GenerativeModel",
    "dataset._target_=genlab.models.vae.VAE": "Source",
    "optimizer._target_=torch.optim.lr_scheduler.StepLR": "Optimizer",
    "schedule._target_=torch.optim.SGD": "Schedule",
}


@pytest.mark.parametrize("setting", OUTSIDE)
def test_a_target_is_a_trusted_class_of_its_kind(setting, refused):
    text = refused("train", setting)
    assert setting.partition("=")[2] in text and OUTSIDE[setting] in text


def images(folder: Path, count: int = 12, size: int = 8) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        shade = (number * 20, 255 - number * 20, 100)
        Image.new("RGB", (size, size), shade).save(folder / f"{number:02}.png")
    return folder


def test_labels_are_required_where_a_model_needs_them(refused, tmp_path):
    folder = images(tmp_path / "plain")
    text = refused("train", "model=cgan", "dataset=image-folder", f"dataset.path={folder}", "trainer.batch_size=4")
    assert "requires label" in text and "digits" in text.split("datasets that fit: ")[1]
    assert "stripes" not in text.split("datasets that fit: ")[1]


def test_a_size_that_a_network_cannot_serve_is_refused(refused, tmp_path):
    data = ["dataset=image-folder", f"dataset.path={images(tmp_path / 'plain')}", "dataset.size=6"]
    text = refused("train", "model=gan", "network=conv", "trainer.batch_size=4", *data)
    assert "6x6" in text and "at least 8" in text


SHORT = ["device=cpu", "device.threads=1", "trainer.max_steps=2", "trainer.batch_size=4", "logger.tensorboard=false"]


def test_a_damaged_image_is_named_by_the_process_that_reads_it(genlab, tmp_path):
    folder = images(tmp_path / "plain")
    for file in folder.iterdir():
        file.write_bytes(b"\x89PNG broken")
    streamed = ["dataset.size=8", "loader.storage=stream", "loader.workers=2"]
    outcome = genlab("train", "dataset=image-folder", f"dataset.path={folder}", *SHORT, *streamed)
    assert outcome.code in (1, 2)
    assert str(folder) in outcome.err and ".png" in outcome.err and "Traceback" not in outcome.err


def test_an_output_folder_that_cannot_be(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    line = refused("train", f"output_dir={tmp_path}/file/outputs")
    assert f"output_dir={tmp_path}/file/outputs: cannot write in {tmp_path}/file" in line
    assert f"hydra.run.dir={tmp_path}/file/run: cannot" in refused("train", f"hydra.run.dir={tmp_path}/file/run")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where even root makes no files")
def test_an_output_folder_that_only_seems_writable(refused):
    assert "output_dir=/proc/x: cannot write in /proc" in refused("train", "output_dir=/proc/x")


def test_a_folder_that_holds_a_run(refused, tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    assert f"{tmp_path}/run: holds a run already" in refused("train", f"hydra.run.dir={tmp_path}/run")


def test_under_torchrun_one_folder_is_demanded(refused, monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    assert "add hydra.run.dir=FOLDER" in refused("train")


def test_a_diverging_run_fails_with_its_step_and_term(genlab, tmp_path):
    settings = ["network.hidden=[16]", "schedule=constant", "optimizer=sgd", "optimizer.lr=1e10", "trainer.log_every=5"]
    outcome = genlab("train", *SHORT, *settings, "trainer.max_steps=20", "trainer.checkpoint_every=1")
    assert outcome.code == 1 and "Traceback" not in outcome.err
    (folder,) = (tmp_path / "outputs").glob("vae-digits/*")
    explained = next((line for line in outcome.err.splitlines() if line.startswith("genlab: ")), None)
    assert explained, "the message stands on a line of its own, not behind the progress bar"
    assert " became " in explained and " step " in explained
    assert str(folder.relative_to(tmp_path)) in outcome.err
    status = json.loads((folder / "status.json").read_text())
    assert status["status"] == "failed" and status["reason"] in explained
    log = (folder / "train.log").read_text()
    assert "Traceback" in log, "the log keeps what the screen is spared"
    assert f"ERROR {status['reason'].splitlines()[0]}" in log

    state = checkpoint.load(folder / "checkpoints/last.safetensors")
    assert all(value.isfinite().all() for value in state["model"].values())
    assert genlab("sample", f"run={folder}", "num_samples=4", "device=cpu").code == 0


def test_debugging_shows_the_traceback(genlab, monkeypatch):
    monkeypatch.setenv("GENLAB_DEBUG", "1")
    outcome = genlab("train", "model=vea")
    assert outcome.code == 2 and "Traceback" in outcome.err and "genlab: model=vea" in outcome.err


def test_the_keyboard_stops_a_command(genlab, monkeypatch):
    import genlab.commands.train as command

    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "main", interrupted)
    outcome = genlab("train")
    assert outcome.code == 130 and "stopped from the keyboard" in outcome.err
