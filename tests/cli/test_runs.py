"""A short real run by the command line: what it leaves behind, and what can be done with it."""

import json
import os
import re

import lab
import numpy as np
import pytest
import yaml
from PIL import Image

from genlab.checkpoints import file as checkpoint
from genlab.contract.data import DataSpec, image_spec
from genlab.data.digits import Digits
from genlab.system import progress


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_folder_tells_its_story(trained):
    _, folder = trained
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml",
        "environment.json",
        "train.log",
        "metrics.jsonl",
        "status.json",
        "previews",
        "checkpoints",
    }
    status = json.loads((folder / "status.json").read_text())
    assert (status["status"], status["step"], status["reason"]) == ("finished", 30, None)
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["data"]["examples"] == 1617 and len(environment["data"]["sha256"]) == 64
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["max_steps"] == 30 and config["choices"] == {"model": "vae", "dataset": "digits"}
    log = (folder / "train.log").read_text()
    assert "train data: 1617 examples" in log and "\r" not in log and "step 30: finished after" in log


def test_the_log_has_every_line_of_the_screen_and_the_start_says_what_will_happen(genlab, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    outcome = genlab("train", *tiny, "trainer.max_steps=12", "trainer.validate_every=5", "watch.every=5")
    assert outcome.code == 0, outcome.err
    (path,) = (tmp_path / "outputs").glob("vae-digits/*/train.log")
    log = path.read_text()
    shown = [line for line in (outcome.err + outcome.out).splitlines() if line]
    assert len(shown) > 15 and all(f" {line}\n" in log for line in shown)
    opening = dict(line.split(maxsplit=1) for line in shown[:10])
    assert opening["device"] == "cpu, 1 thread, fp32" or opening["device"] == "cpu, 1 thread, bf16"
    assert re.fullmatch(r"vae, network mlp: [\d,]+ parameters", opening["model"])
    assert opening["encoder"].count(", decoder") == 1
    assert opening["data"].startswith("digits: 1617 for training, 180 for validation; x image of 1x16x16")
    assert opening["steps"] == "12, of 32 examples each (0.237 epochs)"
    assert re.search(r"^step \d+/12  \d+ %  [\d.e+]+ steps/s  .* left$", outcome.err, re.MULTILINE)


def test_a_silent_console_shows_no_progress_and_the_log_has_the_rest(genlab, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    outcome = genlab("train", *tiny, "trainer.max_steps=3", "logger.console=false")
    assert outcome.code == 0 and "step " not in outcome.err and "%" not in outcome.err
    (path,) = (tmp_path / "outputs").glob("vae-digits/*/train.log")
    assert "step 3: validation  elbo" in path.read_text()


def test_metrics_hold_a_row_when_they_should(trained):
    _, folder = trained
    logged = [row for row in rows(folder) if "epoch" in row]
    validated = [row for row in rows(folder) if "epoch" not in row]
    assert [row["step"] for row in logged] == [10, 20, 30]
    assert [row["step"] for row in validated] == [15, 30]
    assert {"train/loss", "train/kl", "train/reconstruction", "learning_rate/model"} <= logged[0].keys()
    assert {"validation/elbo", "validation/mse", "validation/bits_per_dim"} <= validated[0].keys()
    assert logged[-1]["train/loss"] < logged[0]["train/loss"]
    status = json.loads((folder / "status.json").read_text())
    assert status["final"] == {name: value for name, value in validated[-1].items() if name != "step"}


def test_checkpoints_carry_everything(trained):
    _, folder = trained
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {"step_0000020.safetensors", "step_0000030.safetensors", "last.safetensors", "best.safetensors"}
    state = checkpoint.load(folder / "checkpoints/last.safetensors")
    data = DataSpec.from_dict(state["data"])
    assert state["step"] == 30 and data == image_spec((1, 16, 16), 10, "0123456789", data.num_examples)
    assert data.num_examples > 1000
    assert state["config"] == yaml.safe_load((folder / "config.yaml").read_text())
    assert {"model", "optimizer", "ema", "scaler", "callbacks", "metric_window"} <= state.keys()


def test_previews_are_images(trained):
    _, folder = trained
    names = {path.name for path in (folder / "previews").iterdir()}
    kinds = ("samples", "reconstructions", "traversals")
    assert names == {f"step_{step:07d}-{kind}.png" for step in (1, 15, 30) for kind in kinds}
    for path in (folder / "previews").iterdir():
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 0


def test_tensorboard_shows_everything(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, folder = trained
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    losses = {f"loss/{name}" for name in ("train/loss", "train/kl", "validation/elbo")}
    others = {"optimizer/learning_rate/model", "optimizer/gradient_norm/model", "system/epoch", "system/memory_gib"}
    assert losses | others <= set(tags["scalars"])
    assert all(tag.startswith("loss/") for tag in sorted(tags["scalars"])[: len(losses)]), "they come first"
    assert set(tags["images"]) == {"previews/samples", "previews/reconstructions", "previews/traversals"}
    assert set(tags["histograms"]) == {"model/latents", "model/std_of_each_latent"}
    assert "config/text_summary" in tags["tensors"]
    logged = {row["step"]: row["train/loss"] for row in rows(folder) if "train/loss" in row}
    shown = {event.step: event.value for event in events.Scalars("loss/train/loss")}
    assert shown.keys() == logged.keys()
    assert all(shown[step] == pytest.approx(value, rel=1e-6) for step, value in logged.items())
    assert (folder / "projector_config.pbtxt").is_file()
    (metadata,) = folder.glob("projector/0000030/*/metadata.tsv")
    assert len(metadata.read_text().split()) == 20
    assert {path.parent for path in folder.rglob("events*")} == {folder}, "one run, not two, called as the folder is"


def test_sampling_needs_the_checkpoint_alone(trained, genlab, monkeypatch):
    output, folder = trained

    def forbidden(*arguments):
        raise AssertionError("sampling must not open the dataset")

    monkeypatch.setattr(Digits, "open", forbidden)
    monkeypatch.setattr("genlab.data.digits.read_table", forbidden)
    outcome = genlab("sample", "run=latest", f"output_dir={output}", "num_samples=10", "seed=3", "device=cpu")
    assert outcome.code == 0, outcome.err
    (made,) = folder.glob("samples/step_0000030-seed_3-??????")
    with Image.open(made / "grid.png") as image:
        assert image.size[0] > 16
    with np.load(made / "samples.npz") as arrays:
        assert arrays.files == ["images"]
        first = arrays["images"]
    assert first.shape == (10, 16, 16, 1) and first.dtype == np.uint8 and first.std() > 0
    assert f"{made}/grid.png" in outcome.out and f"{made}/samples.npz" in outcome.out
    genlab("sample", f"run={folder}/checkpoints/last.safetensors", "num_samples=10", "seed=3", "device=cpu")
    with np.load(made / "samples.npz") as arrays:
        assert (arrays["images"] == first).all(), "the same seed, the same images"


def test_a_run_can_start_from_another(trained, genlab, tiny, tmp_path):
    _, folder = trained
    outcome = genlab("train", *tiny, f"init_from={folder}", "trainer.max_steps=1", "optimizer.lr=0", "seed=5")
    assert outcome.code == 0, outcome.err
    assert "init_from: 8 of 8 weights taken" in outcome.err
    (started,) = (tmp_path / "outputs").glob("vae-digits/*")
    source, begun = (checkpoint.load(run / "checkpoints/last.safetensors") for run in (folder, started))
    # What sampling reads: the averaged weights, where there are averages.
    assert not list(lab.differences({**source["model"], **source["ema"]}, begun["model"]))


@pytest.mark.slow
def test_two_processes_share_a_run(genlab, tiny, tmp_path):
    outcome = genlab("train", *tiny, "trainer.max_steps=3", "device.processes=2", "trainer.log_every=1")
    assert outcome.code == 0, outcome.err
    (folder,) = (tmp_path / "outputs").glob("vae-digits/*")
    assert [row["step"] for row in rows(folder) if "epoch" in row] == [1, 2, 3]
    assert os.listdir(folder / "checkpoints")
