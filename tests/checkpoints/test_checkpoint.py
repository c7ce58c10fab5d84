"""Checkpoints are written whole or not at all, damage is found, and reading one never runs code."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder, step_of
from genlab.checkpoints.rotation import link, make_last


@pytest.fixture
def file(tmp_path):
    return tmp_path / "last.safetensors"


def test_comes_back_as_it_was(file):
    state = {
        "step": 7,
        "model": {"w": torch.randn(2, 3).t(), "n": torch.tensor(2), "none": torch.empty(0, 3)},
        "callbacks": {"best": -float("inf"), "final": {"validation/elbo": 0.1}, "rates": [0.1, None, "x"]},
        "ema": {},
    }
    state["model"]["tied"] = state["model"]["w"]
    checkpoint.save(state, file)
    loaded = checkpoint.load(file)
    assert loaded.pop("format") == checkpoint.FORMAT
    weights, expected = loaded.pop("model"), state.pop("model")
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in expected)
    assert loaded == state
    assert os.listdir(file.parent) == [file.name]


def test_other_programs_read_it(file):
    """The tensors by their paths, everything else as JSON."""
    weight = torch.randn(3)
    checkpoint.save({"step": 3, "model": {"encoder.0.weight": weight}}, file)
    assert torch.equal(load_file(file)["model/encoder.0.weight"], weight)
    with safe_open(file, "pt") as content:
        assert json.loads(content.metadata()["step"]) == 3


def test_a_weight_whose_name_is_a_path_is_refused(file):
    with pytest.raises(ValueError, match=r"model\.a/b: "):
        checkpoint.save({"model": {"a/b": torch.ones(1)}}, file)


def test_a_failing_write_leaves_the_old_file(file, monkeypatch):
    checkpoint.save({"step": 1}, file)

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(checkpoint.Unwritable, match=r"last\.safetensors: .*No space left.* MiB are free"):
        checkpoint.save({"step": 2, "model": {"w": torch.ones(1000)}}, file)
    assert checkpoint.load(file)["step"] == 1
    assert os.listdir(file.parent) == [file.name], "no half of a file stays"


def test_is_not_in_place_before_it_is_on_disk(file, monkeypatch):
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


def test_a_changed_bit_or_a_missing_end_is_seen_anywhere(file):
    checkpoint.save({"model": {"w": torch.randn(50)}}, file)
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
            file.write_bytes(damaged)
            assert "not a readable checkpoint" in refusal(file)


@pytest.fixture
def run(tmp_path):
    """A run folder with checkpoints of steps 1, 2 and 3; last.safetensors is another name of the third."""
    folder = RunFolder(tmp_path)
    place = tmp_path / "checkpoints"
    place.mkdir()
    for step in (1, 2, 3):
        checkpoint.save({"step": step, "model": {"w": torch.randn(10)}}, place / f"step_{step:07d}.safetensors")
    link(place / "step_0000003.safetensors", place / "last.safetensors")
    return folder


def test_the_one_before_a_damaged_checkpoint_is_used(run):
    place = run.path / "checkpoints"
    path, state, damaged = checkpoint.newest(run)
    assert (path.name, state["step"], damaged) == ("last.safetensors", 3, {})
    os.truncate(place / "last.safetensors", 100)
    path, state, damaged = checkpoint.newest(run)
    assert (path.name, state["step"]) == ("step_0000002.safetensors", 2)
    assert [*damaged] == [place / "last.safetensors"], "one file of two names is told of once"
    assert "not a readable checkpoint" in damaged[place / "last.safetensors"]
    os.truncate(place / "step_0000001.safetensors", 0)
    (place / "step_0000002.safetensors").unlink()
    with pytest.raises(ValueError, match="none of its checkpoints can be read"):
        checkpoint.newest(run)


def test_a_run_that_goes_on_from_an_older_checkpoint_leaves_the_later_ones_behind(run):
    place = run.path / "checkpoints"
    os.truncate(place / "step_0000003.safetensors", 100)
    (place / "step_0000002_mine.safetensors").write_text("somebody's own")
    make_last(place / "step_0000001.safetensors", 1, [place / "last.safetensors"])
    assert checkpoint.load(place / "last.safetensors")["step"] == 1
    assert {path.name.replace(".safetensors", "") for path in place.iterdir()} == {
        *("last", "last.damaged", "step_0000001", "step_0000002_mine", "step_0000003.damaged")
    }


def test_a_sound_checkpoint_of_a_newer_version_is_no_damaged_one(run, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
    with pytest.raises(ValueError, match="written by a newer version"):
        checkpoint.newest(run)


def test_steps_are_numbers_and_not_words(run):
    place = run.path / "checkpoints"
    for step in (9_999_999, 10_000_000):
        checkpoint.save({"step": step}, place / f"step_{step:07d}.safetensors")
    assert [step_of(path) for path in run.all_numbered()] == [1, 2, 3, 9_999_999, 10_000_000]


def test_a_name_of_the_same_file_costs_it_nothing(run):
    place = run.path / "checkpoints"
    second, third, last = (place / f"{name}.safetensors" for name in ("step_0000002", "step_0000003", "last"))
    temporary = place / ".last.safetensors.tmp"
    link(third, last)
    os.link(third, temporary)  # as a process leaves it that is killed in between
    link(second, last)
    assert [checkpoint.load(path)["step"] for path in (third, last)] == [3, 2] and not temporary.exists()
