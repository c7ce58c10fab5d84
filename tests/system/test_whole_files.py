"""One process builds what several want: the others wait for it, and for nothing else."""

import errno
import fcntl
import logging
import multiprocessing
import os
import signal
import time
from unittest.mock import Mock

import pytest

from genlab.system import files
from genlab.system.files import build_once

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "entry"


@pytest.fixture
def run():
    """Starts `job(*args)` in a process of its own, which ends with the test."""
    jobs = []

    def start(job, *args):
        jobs.append(FORK.Process(target=job, args=args))
        jobs[-1].start()
        return jobs[-1]

    yield start
    for job in jobs:
        job.kill()
        job.join()


def lock_of(path):
    return path.with_name(".entry.lock")


@pytest.fixture
def held(run, path):
    """The process that builds `path` for ever, and a worker that it forked."""
    inside = FORK.SimpleQueue()

    def hold():
        with build_once(path):
            inside.put(os.fork())
            time.sleep(60)

    job = run(hold)
    worker = max(inside.get(), inside.get())  # the worker itself puts 0
    yield job
    os.kill(worker, signal.SIGKILL)


def build(path):
    """What a job does: build it unless it is there."""
    with build_once(path):
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(str(os.getpid()))


def test_the_lock_goes_with_the_block_and_a_failed_block_leaves_nothing(path):
    with pytest.raises(ZeroDivisionError), build_once(path):
        assert lock_of(path).exists()
        raise ZeroDivisionError
    assert not path.parent.exists()
    build(path)
    assert [file.name for file in path.parent.iterdir()] == ["entry"]


def test_one_of_those_that_wait_takes_the_place_of_a_killed_one_whose_worker_lives_on(held, run, path):
    others = [run(build, path) for _ in range(3)]
    time.sleep(0.3)
    assert not path.exists() and all(job.is_alive() for job in others)
    held.kill()
    for job in others:
        job.join(30)
        assert job.exitcode == 0
    assert int(path.read_text()) in [job.pid for job in others] and not lock_of(path).exists()


def test_a_long_wait_is_told_once_and_ends_when_the_lock_is_removed(held, path, monkeypatch, caplog):
    monkeypatch.setattr(files, "LONG_WAIT", 0.1)
    remover = FORK.Process(target=lambda: (time.sleep(0.6), lock_of(path).unlink()))
    remover.start()
    with caplog.at_level(logging.INFO, "genlab"):
        build(path)
    remover.join()
    assert path.exists() and held.is_alive()
    (line,) = caplog.messages
    assert str(path) in line and f"remove {lock_of(path)}" in line


def no_locks(path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "no")))


def folder_is_a_file(path, monkeypatch):
    path.parent.write_text("a file")


def lock_is_a_pipe(path, monkeypatch):
    path.parent.mkdir()
    os.mkfifo(lock_of(path))


@pytest.mark.parametrize("hinder", [no_locks, folder_is_a_file, lock_is_a_pipe])
def test_where_nothing_can_be_locked_it_goes_on_without(hinder, path, monkeypatch):
    hinder(path, monkeypatch)
    entered = False
    with build_once(path):
        entered = True
    assert entered and not path.exists()
