"""What an earlier version of GenLab wrote is refused in a line that says so, and stays as it is."""

import json
import shutil

import lab
import pytest

from genlab.checkpoints import file as checkpoint
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
    """The same run as a version with checkpoints of format 2 left it, which wrote no directions of metrics."""
    folder = RunFolder(tmp_path / "runs/earlier")
    shutil.copytree(present.path, folder.path)
    for path in folder.checkpoints.iterdir():
        checkpoint.save({**checkpoint.load(path), "format": 2}, path)
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


REASON = "was written by an earlier version of GenLab (format 2, this one reads 3); use that one, or train again"


@pytest.mark.parametrize("read", [lambda run: checkpoint.load(run.last), lambda run: checkpoint.find(run.path)])
def test_a_checkpoint_of_an_earlier_format_is_not_loaded(read, earlier):
    with pytest.raises(checkpoint.OtherFormat) as caught:
        read(earlier)
    assert str(caught.value) == f"{earlier.last}: {REASON}"


@pytest.mark.parametrize("command", ["resume", "sample"])
@pytest.mark.parametrize("place", ["path", "last"])
def test_a_run_of_an_earlier_format_is_neither_resumed_nor_used(place, command, earlier, genlab):
    before = content(earlier)
    code, out, err = genlab(command, f"run={getattr(earlier, place)}")
    assert (code, out, err) == (2, "", [f"genlab: {earlier.last}: {REASON}"])
    assert content(earlier) == before


LEFT_OUT = (
    "was made by an earlier version of GenLab; compare it with that version, or train it again; this run is left out"
)


def test_a_run_whose_status_tells_no_directions_is_not_compared(earlier, genlab):
    before = content(earlier)
    code, out, err = genlab("compare", f"runs={earlier}")
    assert (code, out, len(err)) == (2, "", 2)
    assert err[1].strip() == f"{earlier}: {LEFT_OUT}"
    assert content(earlier) == before


def test_a_run_of_an_earlier_version_does_not_keep_others_from_being_compared(present, earlier, genlab, tmp_path):
    code, out, err = genlab("compare", f"runs=[{present},{earlier}]", f"output={tmp_path}")
    assert code == 0 and err == [f"genlab: {earlier}: {LEFT_OUT}"]
    assert "present" in out and "runs/earlier" not in out
