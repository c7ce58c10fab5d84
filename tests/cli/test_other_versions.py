"""What an earlier version of GenLab wrote is refused in a line that says so, and stays as it is."""

import json
import shutil

import lab
import pytest
import torch

from genlab.checkpoints.folder import RunFolder
from genlab.runs.train import train


@pytest.fixture(scope="module")
def present(tmp_path_factory):
    """A run of this version."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "present")
    train(lab.compose("vae", *lab.small_data(), "trainer.batch_size=8", "trainer.max_steps=2"), folder)
    return folder


@pytest.fixture
def earlier(present, tmp_path):
    """The same run as earlier versions left it: with checkpoints of torch's, and no directions of metrics."""
    folder = RunFolder(tmp_path / "runs/earlier")
    shutil.copytree(present.path, folder.path)
    for path in folder.checkpoints.iterdir():
        torch.save({"format": 3}, path.with_suffix(".pt"))
        path.unlink()
    status = json.loads(folder.status.read_text())
    del status["directions"]
    folder.status.write_text(json.dumps(status))
    return folder


def content(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["resume", "sample"])
@pytest.mark.parametrize("place", [".", "checkpoints/last.pt"])
def test_a_run_of_an_earlier_format_is_neither_resumed_nor_used(place, command, earlier, genlab):
    before = content(earlier)
    outcome = genlab(command, f"run={earlier.path / place}")
    (line,) = outcome.lines
    assert (outcome.code, outcome.out) == (2, "")
    assert "checkpoints/" in line and "written by an earlier version of GenLab; use that one" in line
    assert content(earlier) == before


def test_a_run_of_an_earlier_version_does_not_keep_others_from_being_compared(present, earlier, genlab, tmp_path):
    before = content(earlier)
    outcome = genlab("compare", f"runs=[{present},{earlier}]", f"output={tmp_path}")
    (line,) = outcome.lines
    assert outcome.code == 0 and "present" in outcome.out and "runs/earlier" not in outcome.out
    assert line.startswith(f"genlab: {earlier}: was made by an earlier version") and line.endswith("left out")
    assert content(earlier) == before
