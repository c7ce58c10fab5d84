"""A run finds its data from any working folder, and goes on with them where they were moved to."""

import json
import shutil

import numpy
import pytest
import yaml
from PIL import Image

ENDS = ["trainer.max_steps=4", "hydra.run.dir=run"]


@pytest.fixture
def images(tmp_path):
    """A folder of 12 images, and its name relative to the working folder of the commands."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        pixels = numpy.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def own(tiny, images):
    data = ["dataset=image-folder", f"dataset.path={images.name}", "dataset.size=8", "loader.workers=0"]
    return [*tiny, "trainer.batch_size=4", *data]


def test_data_are_found_from_elsewhere_and_after_a_move(genlab, own, images, tmp_path, monkeypatch):
    assert genlab("train", *own, *ENDS).code == 0
    run = tmp_path / "run"
    assert yaml.safe_load((run / "config.yaml").read_text())["dataset"]["path"] == str(images)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert genlab("resume", f"run={run}", "trainer.max_steps=6").code == 0
    assert genlab("reconstruct", f"run={run}").code == 0

    moved = shutil.move(images, tmp_path / "moved")
    other = tmp_path / "other"
    other.mkdir()
    for place in moved.iterdir():
        Image.new("RGB", (8, 8)).save(other / place.name)
    for command in (["reconstruct"], ["evaluate", "metrics=[likelihood]"], ["resume", "trainer.max_steps=8"]):
        missing = genlab(*command, f"run={run}")
        assert missing.code == 2 and f"dataset.path={images}: no such folder" in missing.err
        changed = genlab(*command, f"run={run}", f"dataset.path={other}")
        assert changed.code == 2 and "the training data is not what this run began with" in changed.err
        assert genlab(*command, f"run={run}", f"dataset.path={moved}").code == 0
    assert genlab("reconstruct", f"run={run}").code == 0, "the new place is on record"


def test_only_places_of_the_own_data_change(genlab, own):
    assert genlab("train", *own, *ENDS).code == 0
    for command in ("reconstruct", "resume"):
        refused = genlab(command, "run=run", "dataset.size=16", "dataset.path=elsewhere")
        assert refused.code == 2 and "dataset.size" in refused.err and "Traceback" not in refused.err
    assert "dataset.size=16" in genlab("reconstruct", "run=run", "dataset.size=16").err


def test_the_next_command_knows_where_the_data_are(genlab, own, images, tmp_path):
    assert genlab("train", *own, *ENDS).code == 0
    moved = shutil.move(images, tmp_path / "moved")
    outcome = genlab("reconstruct", "run=run", f"dataset.path={moved}")
    assert f"genlab encode run=run dataset.path={moved}" in outcome.out


def test_a_sweep_goes_on_elsewhere(genlab, own, images, tmp_path, monkeypatch):
    sweep = tmp_path / "sweep"
    assert genlab("train", "-m", *own, "trainer.max_steps=2", "seed=1,2", f"hydra.sweep.dir={sweep}").code == 0
    shutil.rmtree(sweep / "1")
    moved = shutil.move(images, tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"dataset.path={images}: no such folder" in genlab("resume", f"run={sweep}").err
    assert genlab("resume", f"run={sweep}", f"dataset.path={moved}").code == 0
    assert json.loads((sweep / "1/status.json").read_text())["status"] == "finished"
