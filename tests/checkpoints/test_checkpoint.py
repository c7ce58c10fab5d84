"""Checkpoints are written whole or not at all, and reading one never runs its code."""

import os
import pickle

import pytest
import torch

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder, step_of
from genlab.checkpoints.rotation import link, make_last
from genlab.system.files import replacing


def test_comes_back_as_it_was(tmp_path):
    state = {"step": 7, "model": {"w": torch.randn(3), "n": torch.tensor(2)}, "rates": [0.1, None, "x"], "ema": {}}
    checkpoint.save(state, tmp_path / "last.pt")
    loaded = checkpoint.load(tmp_path / "last.pt")
    assert loaded.pop("format") == checkpoint.FORMAT
    assert torch.equal(loaded["model"].pop("w"), state["model"].pop("w")) and loaded == state
    assert os.listdir(tmp_path) == ["last.pt"]


class Unpicklable:
    def __reduce__(self):
        raise OSError("disk full")


def test_a_failing_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "last.pt"
    checkpoint.save({"step": 1}, file)
    before = file.read_bytes()
    with pytest.raises(checkpoint.Unwritable, match=r"last\.pt: cannot be written \(disk full; .* MiB are free\)"):
        checkpoint.save({"step": 2, "model": torch.ones(1000), "late": Unpicklable()}, file)
    assert file.read_bytes() == before
    assert checkpoint.load(file)["step"] == 1
    assert os.listdir(tmp_path) == ["last.pt"], "no half of a file stays"


def test_is_not_in_place_before_it_is_on_disk(tmp_path, monkeypatch):
    file = tmp_path / "last.pt"
    checkpoint.save({"step": 1}, file)
    order, replace, sync = [], os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    checkpoint.save({"step": 2}, file)
    assert order == ["fsync", "replace", "fsync"], "the content, then the name, then that the name is another's"


def refusal(file):
    with pytest.raises(ValueError) as caught:
        checkpoint.load(file)
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)
    return str(caught.value)


def test_refuses_a_damaged_file(tmp_path):
    file = tmp_path / "last.pt"
    checkpoint.save({"model": torch.randn(1000)}, file)
    whole = file.read_bytes()
    for damaged in (b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-1000]):
        file.write_bytes(damaged)
        assert "not a readable checkpoint" in refusal(file)


def test_a_changed_bit_is_seen_anywhere(tmp_path):
    file = tmp_path / "last.pt"
    checkpoint.save({"model": torch.randn(50)}, file)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert "not a readable checkpoint" in refusal(file)


def test_other_programs_read_what_carries_a_checksum(tmp_path):
    checkpoint.save({"step": 3}, tmp_path / "last.pt")
    assert torch.load(tmp_path / "last.pt", weights_only=True) == {"format": checkpoint.FORMAT, "step": 3}


@pytest.fixture
def run(tmp_path):
    """A run folder with checkpoints of steps 1, 2 and 3; last.pt is another name of the third."""
    folder = RunFolder(tmp_path)
    place = tmp_path / "checkpoints"
    place.mkdir()
    for step in (1, 2, 3):
        checkpoint.save({"step": step, "model": torch.randn(10)}, place / f"step_{step:07d}.pt")
    link(place / "step_0000003.pt", place / "last.pt")
    return folder


def test_the_one_before_a_damaged_checkpoint_is_used(run):
    place = run.path / "checkpoints"
    path, state, damaged = checkpoint.newest(run)
    assert (path.name, state["step"], damaged) == ("last.pt", 3, {})
    os.truncate(place / "last.pt", 100)
    path, state, damaged = checkpoint.newest(run)
    assert (path.name, state["step"]) == ("step_0000002.pt", 2)
    assert [*damaged] == [place / "last.pt"], "one file of two names is told of once"
    assert "not a readable checkpoint" in damaged[place / "last.pt"]
    os.truncate(place / "step_0000001.pt", 0)
    (place / "step_0000002.pt").unlink()
    with pytest.raises(ValueError, match="none of its checkpoints can be read"):
        checkpoint.newest(run)


def test_a_run_that_goes_on_from_an_older_checkpoint_leaves_the_later_ones_behind(run):
    place = run.path / "checkpoints"
    os.truncate(place / "step_0000003.pt", 100)
    (place / "step_0000002_mine.pt").write_text("somebody's own")
    make_last(place / "step_0000001.pt", 1, [place / "last.pt"])
    assert checkpoint.load(place / "last.pt")["step"] == 1
    assert sorted(os.listdir(place)) == [
        *("last.pt", "last.pt.damaged", "step_0000001.pt", "step_0000002_mine.pt", "step_0000003.pt.damaged"),
    ]


def test_a_folder_in_the_place_of_a_checkpoint_steps_aside(run):
    place = run.path / "checkpoints"
    (place / "last.pt").unlink()
    (place / "last.pt").mkdir()
    path, state, damaged = checkpoint.newest(run)
    assert state["step"] == 3 and len(damaged) == 1
    make_last(path, 3, damaged)
    assert checkpoint.load(place / "last.pt")["step"] == 3


def test_a_sound_checkpoint_of_a_newer_version_is_no_damaged_one(run, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
    with pytest.raises(ValueError, match="written by a newer version"):
        checkpoint.newest(run)


def test_steps_are_numbers_and_not_words(run):
    place = run.path / "checkpoints"
    for step in (9_999_999, 10_000_000):
        checkpoint.save({"step": step}, place / f"step_{step:07d}.pt")
    assert [step_of(path) for path in run.all_numbered()] == [1, 2, 3, 9_999_999, 10_000_000]


def test_a_name_of_the_same_file_costs_it_nothing(run):
    place = run.path / "checkpoints"
    link(place / "step_0000003.pt", place / "last.pt")
    os.link(place / "step_0000003.pt", place / ".last.pt.tmp")  # as a process leaves it that is killed in between
    link(place / "step_0000002.pt", place / "last.pt")
    assert [checkpoint.load(place / name)["step"] for name in ("step_0000003.pt", "last.pt")] == [3, 2]
    assert not (place / ".last.pt.tmp").exists()


class Payload:
    """Runs a command where it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_never_runs_what_a_file_brings_along(tmp_path):
    mark = tmp_path / "executed"
    evil = {"format": checkpoint.FORMAT, "model": Payload(mark)}
    torch.save(evil, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(evil))
    torch.save(evil, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("zip.pt", "plain.pt", "old.pt"):
        assert "not a readable checkpoint" in refusal(tmp_path / name)
        assert not mark.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())
    assert mark.exists(), "the payload itself would have worked"


@pytest.mark.parametrize(
    "content, told",
    [({"format": 0}, "(format 0, "), ({"step": 1}, "it has no format"), ([1, 2], "it has no format")],
)
def test_refuses_another_format(content, told, tmp_path):
    with replacing(tmp_path / "x.pt") as file:
        torch.save(content, file)
        checkpoint._seal(file)
    assert told in refusal(tmp_path / "x.pt")


def test_finds_a_runs_checkpoint(tmp_path):
    file = tmp_path / "run" / "checkpoints" / "last.pt"
    file.parent.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"run: holds no checkpoints/last\.pt"):
        checkpoint.find(tmp_path / "run")
    checkpoint.save({"step": 1}, file)
    for run in (tmp_path / "run", str(file)):
        path, state = checkpoint.find(run)
        assert path == file and state["step"] == 1
    with pytest.raises(ValueError, match="nowhere: no such run folder or checkpoint"):
        checkpoint.find(tmp_path / "nowhere")
    assert "no such checkpoint" in refusal(tmp_path / "nowhere.pt")
