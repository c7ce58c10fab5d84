"""A user's mistake costs one clear line: the key, the value and the way out; no traceback, nothing written."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.config.commands import COMMANDS

FIXED = [
    (["trian"], "trian: no such command; did you mean 'train'?"),
    (["xyz"], f"xyz: no such command; there are: {', '.join(sorted(COMMANDS))}\n"),
    (["train", "model=vea"], "model=vea: no such model; did you mean 'vae'?"),
    (["train", "model=xyz"], "model=xyz: no such model; there are: ae, "),
    (["train", "dataset=digit"], "dataset=digit: no such dataset; did you mean 'digits'?"),
    (["train", "optimizer=adm"], "optimizer=adm: no such optimizer; did you mean 'adam'?"),
    (["train", "schedule=cosine"], "schedule=cosine: no such schedule; did you mean 'warmup_cosine'?"),
    (["train", "device=gpu"], "device=gpu: no such device; "),
    (["train", "experiment=nothing"], "experiment=nothing: no such experiment; "),
    # misspelt keys, anywhere
    (["train", "sede=1"], "sede=1: the config has no key 'sede'; did you mean 'seed'?"),
    (["train", "trainer.max_step=3"], "trainer has no key 'max_step'; did you mean 'max_steps'?"),
    (["train", "trainr.max_steps=3"], "the config has no key 'trainr'; did you mean 'trainer'?"),
    (["train", "optimizer.learning_rat=1"], "optimizer has no key 'learning_rat'"),
    (["train", "model.latent_dims=3"], "model has no key 'latent_dims'; did you mean 'latent_dim'?"),
    (["train", "dataset.sise=3"], "dataset has no key 'sise'; did you mean 'size'?"),
    (["train", "device.thread=3"], "device has no key 'thread'; did you mean 'threads'?"),
    (["train", "loader.flipp=true"], "loader has no key 'flipp'; did you mean 'flip'?"),
    (["train", "+model.latent_dims=3"], "model.latent_dims=3: VAE has no such setting; did you mean 'latent_dim'?"),
    (["train", "+optimizer.momentum=0.9"], "optimizer.momentum=0.9: Adam has no such setting"),
    (["train", "+schedule.warm=0.9"], "schedule.warm=0.9: WarmupCosine has no such setting; did you mean 'warmup'?"),
    (["train", "+optimizer.players.generator.lr=1"], "optimizer.players.generator: VAE has no such player"),
    (["train", "+optimizer.players.model.lrr=1"], "optimizer.players.model.lrr=1: Adam has no such setting"),
    # wrong types and values
    (["train", "seed=abc"], "seed='abc': must be a whole number"),
    (["train", "trainer.max_steps=many"], "trainer.max_steps='many': must be a whole number or null"),
    (["train", "trainer.max_steps=0"], "trainer.max_steps=0: must be at least 1"),
    (["train", "trainer.max_steps=null"], "trainer.max_steps=null: needs trainer.max_epochs"),
    (["train", "trainer.batch_size=0"], "trainer.batch_size=0: must be at least 1"),
    (["train", "trainer.log_every=0"], "trainer.log_every=0: must be at least 1"),
    (["train", "trainer.ema=1"], "trainer.ema=1.0: the decay must be at least 0 and below 1"),
    (["train", "trainer.clip=-1"], "trainer.clip=-1.0: must be at least 0"),
    (["train", "trainer.early_stop_metric=elbow"], "trainer.early_stop_metric=elbow: did you mean 'elbo'?"),
    (["train", "device.precision=fp8"], "device.precision=fp8: must be one of fp32, fast-fp32, bf16, fp16"),
    (["train", "device.micro_batch=100"], "device.micro_batch=100: must divide the 128 examples"),
    (["train", "device.processes=3"], "trainer.batch_size=128: must divide evenly over device.processes=3"),
    (["train", "loader.storage=disk"], "loader.storage=disk: must be one of auto, memory, stream"),
    (["train", "model.latent_dim=few"], "model.latent_dim='few': must be a whole number"),
    (["train", "model.latent_dim=2.5"], "model.latent_dim=2.5: must be a whole number"),
    (["train", "model.latent_dim=true"], "model.latent_dim=True: must be a whole number"),
    (["train", "model.latent_dim=0"], "model.latent_dim=0: must be at least 1"),
    (["train", "model.latent_dim=-2"], "model.latent_dim=-2: must be at least 1"),
    (["train", "model.hidden=512"], "model.hidden=512: must be a list, each a whole number"),
    (["train", "model.hidden=[512,big]"], "must be a list, each a whole number"),
    (["train", "model.hidden=[0]"], "hidden=[0]: every width must be at least 1"),
    (["train", "model.network=transformer"], "model.network='transformer': must be one of mlp, conv"),
    (["train", "model.dropout=1.5"], "dropout=1.5: must lie in [0, 1)"),
    (["train", "optimizer.lr=fast"], "optimizer.lr='fast': must be "),
    (["train", "optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: must be a list of 2 values"),
    (["train", "schedule.warmup=2"], "schedule.warmup=2: must be a fraction between 0 and 1"),
    (["train", "dataset.size=4"], "dataset.size=4 is out of range"),
    (["train", "dataset=shapes", "dataset.num_scales=0"], "dataset.num_scales=0 is out of range"),
    (["train", "trainer.batch_size=5000"], "trainer.batch_size=5000: larger than the dataset, which has 1617"),
    (["train", "model=null"], "model=null: no such model; there are: ae, "),
    (["train", "model=[ae,vae]"], "model=[ae,vae]: no such model; "),
    (["train", "trainer=3"], "trainer=3: no such trainer; "),
    (["train", "~dataset"], "~dataset: no key can be taken away here; write key=value"),
    # data that a model cannot use, and files that are not there
    (["train", "dataset=stripes"], "model VAE requires image, but this dataset provides a, b; datasets that fit: "),
    (["train", "dataset=image-folder"], "dataset.path is not set"),
    (["train", "dataset=image-folder", "dataset.path=nowhere"], "dataset.path=nowhere: no such folder"),
    (["train", "dataset=npz", "dataset.path=nowhere.npz"], "dataset.path=nowhere.npz: no such file"),
    (["train", "dataset=unpaired-folder", "dataset.path=nowhere"], "dataset.path=nowhere: no such folder"),
    (["train", "init_from=nowhere"], "init_from: nowhere: no such run folder or checkpoint"),
    # the grammar
    (["train", "model"], "'model': cannot be read; write key=value"),
    (["train", "model.hidden=[1,"], "'model.hidden=[1,': cannot be read"),
    (["train", "seed=0,1"], "seed=0,1: several values make a sweep, which needs -m: genlab train -m seed=0,1"),
    (["train", "seed=range(3)"], "seed=range(3): several values make a sweep, which needs -m"),
    (["train", "seed=1", "-m"], "-m must come before the settings: genlab train -m seed=1"),
    (["train", "seed=1", "--multirun"], "--multirun must come before the settings: genlab train -m seed=1"),
    (["train", "-x"], "-x: no such option; see genlab train --help"),
    (["train", "-m", "seed=0,1", "trainer.max_steps=0"], "trainer.max_steps=0: must be at least 1"),
    (["train", "-m", "model.latent_dim=3,0"], "model.latent_dim=0: must be at least 1"),
    # using a run
    (["sample", "run=nowhere"], "nowhere: no such run folder or checkpoint"),
    (["sample"], "run=latest: no run with a checkpoint below outputs; train one with: genlab train"),
    (["sample", "run=."], ".: holds no checkpoints/last.pt; give a run folder or a checkpoint file"),
    (["sample", "num_samples=0"], "num_samples=0: must be at least 1"),
    (["sample", "num_sample=3"], "the config has no key 'num_sample'; did you mean 'num_samples'?"),
    (["sample", "num_samples=lots"], "num_samples='lots': must be a whole number"),
    (["sample", "-m"], "-m: no such option; see genlab sample --help"),
    (["translate"], "input=null: name a folder of images"),
]


@pytest.mark.parametrize("arguments, message", FIXED, ids=[" ".join(arguments) for arguments, _ in FIXED])
def test_is_explained(arguments, message, refused):
    assert message in refused(*arguments)


def test_several_mistakes_are_told_at_once(refused):
    text = refused(
        "train",
        "dataset=digit",
        "trainer.max_step=3",
        "model.latent_dim=few",
        "trainer.log_every=0",
        "device.precision=fp8",
        "sede=1",
        problems=6,
    )
    for part in ("digits", "max_steps", "latent_dim='few'", "log_every=0", "precision=fp8", "'seed'"):
        assert part in text


def test_mistakes_of_meaning_are_told_at_once(refused):
    text = refused("train", "dataset.size=4", "schedule.warmup=2", "init_from=nowhere", problems=3)
    assert all(part in text for part in ("dataset.size=4", "schedule.warmup=2", "init_from"))


MARK = "executed"

OUTSIDE = [
    ("model", "os.system", "outside the trusted packages (genlab, torch.nn, torch.optim)"),
    ("model", "builtins.eval", "outside the trusted packages"),
    ("model", "torch.load", "outside the trusted packages"),
    ("model", "genlabelled.models.vae.VAE", "outside the trusted packages"),
    ("model", "genlab.system.seeding.torch.load", "no such class"),
    ("model", "genlab.runs.train.train", "must be a GenerativeModel"),
    ("model", "genlab.data.digits.Digits", "must be a GenerativeModel"),
    ("model", "torch.nn.Linear", "must be a GenerativeModel"),
    ("model", "genlab.contract.model.nothing", "no such class"),
    ("model", "genlab", "no such class"),
    ("dataset", "subprocess.run", "outside the trusted packages"),
    ("dataset", "genlab.models.vae.VAE", "must be a Source"),
    ("optimizer", "torch.optim.lr_scheduler.StepLR", "must be a Optimizer"),
    ("optimizer", "torch.nn.Linear", "must be a Optimizer"),
    ("schedule", "torch.optim.SGD", "must be a Schedule"),
]


@pytest.mark.parametrize("node, target, message", OUTSIDE, ids=[target for _, target, _ in OUTSIDE])
def test_targets_outside_the_trusted_packages_are_refused(node, target, message, refused):
    text = refused("train", f"{node}._target_={target}")
    assert f"{node}._target_={target}" in text and message in text


def test_a_players_target_is_held_against_the_same_rule(refused):
    text = refused("train", "+optimizer.players.model._target_=os.system")
    assert "os.system" in text and "outside the trusted packages" in text


def test_labels_are_required_where_a_model_needs_them(refused, tmp_path):
    folder = images(tmp_path / "plain")
    text = refused("train", "model=cgan", "dataset=image-folder", f"dataset.path={folder}", "trainer.batch_size=4")
    assert "requires label" in text and "datasets that fit: " in text and "digits" in text
    assert "stripes" not in text.split("datasets that fit: ")[1]


def test_two_domains_are_required_where_a_model_needs_them(refused):
    text = refused("train", "model=cyclegan", "dataset=digits")
    assert "requires a, b" in text and "stripes" in text and "unpaired-folder" in text


@pytest.mark.parametrize("model", ["vae", "gan"])
def test_a_size_that_a_network_cannot_serve_is_refused(model, refused, tmp_path):
    folder = images(tmp_path / "plain")
    text = refused(
        "train",
        f"model={model}",
        "model.network=conv",
        "trainer.batch_size=4",
        "dataset=image-folder",
        f"dataset.path={folder}",
        "dataset.size=6",
    )
    assert "6x6" in text and "at least 8" in text


def test_a_billion_latents_are_not_tried(refused):
    """Shapes are checked without memory: the second mistake is found behind a model of terabytes."""
    text = refused("train", "model.latent_dim=1000000000", "trainer.early_stop_metric=elbow", problems=2)
    assert "model: its weights need 5729.5 GiB, this machine has" in text and "did you mean 'elbo'?" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the test asks for in vain")
def test_a_gpu_that_is_not_there(refused):
    assert "device=cuda with device.index=0: this machine shows no CUDA device; use device=cpu" in refused(
        "train", "device=cuda"
    )


def images(folder: Path, count: int = 12, size: int = 8) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        shade = (number * 20, 255 - number * 20, 100)
        Image.new("RGB", (size, size), shade).save(folder / f"{number:02}.png")
    return folder


SHORT = ["device=cpu", "device.threads=1", "trainer.max_steps=2", "trainer.batch_size=4", "logger.tensorboard=false"]


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    text = refused("train", "dataset=image-folder", f"dataset.path={tmp_path}/empty")
    assert f"no images in {tmp_path}/empty" in text


def test_a_damaged_image_is_named(genlab, tmp_path):
    folder = images(tmp_path / "plain")
    damaged = folder / "05.png"
    damaged.write_bytes(damaged.read_bytes()[:40])
    outcome = genlab("train", "dataset=image-folder", f"dataset.path={folder}", "dataset.size=8", *SHORT)
    assert outcome.code in (1, 2)
    assert str(damaged) in outcome.err and "Traceback" not in outcome.err


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_when_streaming(workers, genlab, tmp_path):
    folder = images(tmp_path / "plain")
    for number in range(12):
        (folder / f"{number:02}.png").write_bytes(b"\x89PNG broken")
    settings = ["loader.storage=stream", f"loader.workers={workers}"]
    outcome = genlab("train", "dataset=image-folder", f"dataset.path={folder}", "dataset.size=8", *SHORT, *settings)
    assert outcome.code in (1, 2)
    assert str(folder) in outcome.err and ".png" in outcome.err and "Traceback" not in outcome.err


ARRAYS = [
    ({"frames": np.zeros((9, 8, 8), np.uint8)}, [], "dataset.images_key=images: no such array"),
    ({"images": np.zeros((9, 64), np.uint8)}, [], "holds flat rows. Give dataset.image_shape"),
    ({"images": np.zeros((9, 8, 8, 2), np.uint8)}, [], "is not [N, height, width] or [N, height, width, 1 or 3]"),
    ({"images": np.array(["a", "b"])}, [], "cannot be images"),
    (
        {"images": np.zeros((9, 8, 8), np.uint8), "y": np.zeros(8, int)},
        ["dataset.labels_key=y"],
        "labels of 9 images",
    ),
]


@pytest.mark.parametrize("arrays, settings, message", ARRAYS, ids=[message[:25] for _, _, message in ARRAYS])
def test_arrays_that_are_no_images(arrays, settings, message, refused, tmp_path):
    np.savez(tmp_path / "data.npz", **arrays)
    assert message in refused("train", "dataset=npz", f"dataset.path={tmp_path}/data.npz", *settings)


def test_an_npz_that_is_none(refused, tmp_path):
    (tmp_path / "data.npz").write_bytes(b"PK nothing")
    assert "is not a sound .npz file" in refused("train", "dataset=npz", f"dataset.path={tmp_path}/data.npz")


def test_an_output_folder_that_cannot_be(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    text = refused("train", f"output_dir={tmp_path}/file/outputs")
    assert f"cannot write in {tmp_path}/file; choose another place" in text


def test_a_folder_that_holds_a_run(refused, tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    text = refused("train", f"hydra.run.dir={tmp_path}/run")
    assert f"{tmp_path}/run: holds a run already" in text


def test_under_torchrun_one_folder_is_demanded(refused, monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    assert "add hydra.run.dir=FOLDER" in refused("train")


class Evil:
    def __reduce__(self):
        return Path.touch, (Path(MARK),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content", [b"", b"nothing", pickle.dumps(Evil()), "torch"], ids=["empty", "text", "code", "zip"]
)
def test_a_file_that_is_no_checkpoint(content, refused, tmp_path):
    file = tmp_path / "x.pt"
    if content == "torch":
        torch.save({"format": 1, "config": Evil()}, file)
    else:
        file.write_bytes(content)
    assert f"{file}: not a readable checkpoint" in refused("sample", f"run={file}")
    assert not (tmp_path / MARK).exists()


def test_a_diverging_run_fails_with_its_step_and_term(genlab, tmp_path):
    outcome = genlab(
        "train",
        "device=cpu",
        "device.threads=1",
        "model.hidden=[16]",
        "schedule=constant",
        "optimizer=sgd",
        "optimizer.lr=1e10",
        "trainer.max_steps=20",
        "trainer.log_every=5",
        "trainer.checkpoint_every=1",
        "logger.tensorboard=false",
    )
    assert outcome.code == 1 and "Traceback" not in outcome.err
    (folder,) = (tmp_path / "outputs").glob("vae-digits/*")
    explained = next((line for line in outcome.err.splitlines() if line.startswith("genlab: ")), None)
    assert explained, "the message stands on a line of its own, not behind the progress bar"
    assert " became " in explained and " step " in explained
    assert str(folder.relative_to(tmp_path)) in outcome.err
    status = json.loads((folder / "status.json").read_text())
    assert status["status"] == "failed" and status["reason"] in explained
    assert "Traceback" in (folder / "train.log").read_text(), "the log keeps what the screen is spared"

    state = torch.load(folder / "checkpoints/last.pt", weights_only=True)
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
