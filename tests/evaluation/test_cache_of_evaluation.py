"""What jobs that start together want of the evaluation is computed once, and nothing rests on the cache."""

import errno
import fcntl
import logging
import multiprocessing
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from genlab.evaluation import cache
from genlab.evaluation.features import Inception


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features" / "entry.pt"


def ask(path, log):
    """A value that takes a while, and a line in `log` where it had to be computed."""

    def make():
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.3)
        return torch.arange(3)

    return cache.kept(path, lambda state: state["value"], make, lambda value: {"value": value}).tolist()


def together(count, what, *args):
    """What `what` gives to so many jobs that start together."""
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(count), context.SimpleQueue()

    def job():
        start.wait(30)
        results.put(what(*args))

    jobs = [context.Process(target=job) for _ in range(count)]
    for process in jobs:
        process.start()
    found = [results.get() for _ in jobs]
    for process in jobs:
        process.join(30)
    return found


def test_jobs_that_start_together_compute_it_once(path, tmp_path):
    assert together(4, ask, path, tmp_path / "log") == [[0, 1, 2]] * 4
    assert (tmp_path / "log").read_text() == "made\n"
    assert ask(path, tmp_path / "log") == [0, 1, 2] and (tmp_path / "log").read_text() == "made\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["entry.pt"]


def test_without_locks_each_computes_its_own(path, tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "lockf", Mock(side_effect=OSError(errno.ENOSYS, "Function not implemented")))
    assert together(2, ask, path, tmp_path / "log") == [[0, 1, 2]] * 2
    assert [entry.name for entry in path.parent.iterdir()] == ["entry.pt"]


def test_a_damaged_entry_is_told_of_once_and_replaced(path, tmp_path, caplog):
    path.parent.mkdir()
    path.write_bytes(b"half")
    assert [ask(path, tmp_path / "log") for _ in range(2)] == [[0, 1, 2]] * 2
    assert (tmp_path / "log").read_text() == "made\n"
    (line,) = caplog.messages
    assert "is damaged and computed again" in line


@pytest.mark.parametrize("where", ["/dev/null", "/proc/genlab"])
def test_without_a_cache_it_is_computed_each_time(where, tmp_path, caplog):
    for _ in range(2):
        assert ask(Path(where, "entry.pt"), tmp_path / "log") == [0, 1, 2]
    assert (tmp_path / "log").read_text() == "made\n" * 2
    assert len(caplog.messages) == 2 and all("is not kept" in line for line in caplog.messages)


def test_a_full_disk_costs_time_alone(path, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(torch, "save", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with caplog.at_level(logging.WARNING, "genlab"):
        assert ask(path, tmp_path / "log") == [0, 1, 2]
    assert "is not kept" in caplog.text and not path.parent.exists()


def test_weights_are_downloaded_once(tmp_path, monkeypatch):
    def download(url, place, **_):
        with Path(tmp_path, "log").open("a") as file:
            file.write("downloaded\n")
        time.sleep(0.3)
        Path(place).write_bytes(b"others than the published")

    def explain():
        with pytest.raises(ValueError) as caught:
            Inception("cpu")
        return str(caught.value)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(FeatureExtractorInceptionV3=None))
    assert all("is not the published file" in message for message in together(2, explain))
    assert Path(tmp_path, "log").read_text() == "downloaded\n"
