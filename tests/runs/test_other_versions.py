"""What an earlier version of GenLab wrote is refused in a line that says so, and stays as it is."""

import json
import shutil

import lab
import pytest
import torch

from genlab.checkpoints.folder import RunFolder
from genlab.cli import main
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


@pytest.fixture
def genlab(capsys):
    """`genlab(*arguments)`: exit code, standard output, and the lines on standard error."""

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        out, err = capsys.readouterr()
        return stop.value.code, out, err.splitlines()

    return run


def content(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["resume", "sample"])
@pytest.mark.parametrize("place", [".", "checkpoints/last.pt"])
def test_a_run_of_an_earlier_format_is_neither_resumed_nor_used(place, command, earlier, genlab):
    before = content(earlier)
    code, out, err = genlab(command, f"run={earlier.path / place}")
    assert (code, out, len(err)) == (2, "", 1)
    assert "checkpoints/" in err[0] and "written by an earlier version of GenLab; use that one" in err[0]
    assert content(earlier) == before


def test_a_run_of_an_earlier_version_does_not_keep_others_from_being_compared(present, earlier, genlab, tmp_path):
    before = content(earlier)
    code, out, (line,) = genlab("compare", f"runs=[{present},{earlier}]", f"output={tmp_path}")
    assert code == 0 and "present" in out and "runs/earlier" not in out
    assert line.startswith(f"genlab: {earlier}: was made by an earlier version") and line.endswith("left out")
    assert content(earlier) == before
