"""One process makes what several want: the others wait for it, and for nothing else."""

import errno
import fcntl
import logging
import multiprocessing
import os
import signal
import sys
import time
from unittest.mock import Mock

import pytest

from genlab.system import files
from genlab.system.files import build_once, open_plain

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


def hold(path, inside):
    """Stay in the block for good."""
    with build_once(path):
        inside.set()
        time.sleep(60)


@pytest.fixture
def held(run, path):
    """The process that makes `path` for ever."""
    inside = FORK.Event()
    job = run(hold, path, inside)
    assert inside.wait(30)
    return job


def make(path):
    """What a job does: make it unless it is there."""
    with build_once(path):
        if not path.exists():
            path.write_text(str(os.getpid()))


def test_the_lock_goes_with_the_block(path):
    with build_once(path):
        assert lock_of(path).exists()
    assert not lock_of(path).exists()
    with pytest.raises(ZeroDivisionError), build_once(path):
        raise ZeroDivisionError
    assert not lock_of(path).exists()


def test_another_takes_the_place_of_one_that_was_killed(held, run, path):
    others = [run(make, path) for _ in range(2)]
    time.sleep(0.2)
    assert not path.exists() and all(job.is_alive() for job in others)
    held.kill()
    for job in others:
        job.join(30)
        assert job.exitcode == 0
    assert int(path.read_text()) in [job.pid for job in others] and not lock_of(path).exists()


def test_a_forked_worker_does_not_keep_the_lock(run, path):
    worker = FORK.SimpleQueue()

    def job():
        with build_once(path):
            pid = os.fork()
            if pid:
                worker.put(pid)
            time.sleep(60)

    owner = run(job)
    orphan = worker.get()
    try:
        owner.kill()
        owner.join()
        other = run(make, path)
        other.join(30)
        assert other.exitcode == 0 and path.exists()
        os.kill(orphan, 0)
    finally:
        os.kill(orphan, signal.SIGKILL)


@pytest.mark.parametrize("failing", [False, True])
def test_what_the_first_did_not_leave_is_not_made_one_after_another(failing, run, path):
    """Three jobs wait until the first is through, and are then in the block at the same time."""
    inside, waiting, together = FORK.Event(), FORK.Barrier(4), FORK.Barrier(3)

    def first():
        with build_once(path):
            inside.set()
            waiting.wait(30)
            time.sleep(0.3)
            if failing:
                sys.stderr.close()  # nobody is to read of this
                raise ValueError

    def other():
        waiting.wait(30)
        with build_once(path):
            together.wait(20)

    run(first)
    assert inside.wait(30)
    others = [run(other) for _ in range(3)]
    for job in others:
        job.join(30)
    assert [job.exitcode for job in others] == [0, 0, 0] and not lock_of(path).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_be_interrupted(number, held, run, path):
    ready, ended = FORK.Event(), FORK.Event()

    def leave(*_):
        raise KeyboardInterrupt

    def job():
        signal.signal(number, leave)
        try:
            ready.set()
            make(path)
        except KeyboardInterrupt:
            ended.set()

    other = run(job)
    assert ready.wait(30)
    time.sleep(0.2)
    os.kill(other.pid, number)
    assert ended.wait(5) and held.is_alive() and lock_of(path).exists()


def test_who_is_interrupted_leaves_it_to_another(path):
    with pytest.raises(KeyboardInterrupt), build_once(path):
        raise KeyboardInterrupt
    assert lock_of(path).exists(), "else all that wait would make it"
    make(path)
    assert path.exists() and not lock_of(path).exists()


def test_a_long_wait_is_told_once(held, path, monkeypatch, caplog):
    monkeypatch.setattr(files, "LONG_WAIT", 0.1)
    timer = FORK.Process(target=lambda: (time.sleep(0.6), os.kill(held.pid, signal.SIGKILL)))
    timer.start()
    with caplog.at_level(logging.INFO, "genlab"):
        make(path)
    timer.join()
    (line,) = caplog.messages
    assert "waiting for another job" in line and f"{path};" in line and str(lock_of(path)) in line


def test_a_lock_that_is_removed_is_waited_for_no_longer(held, run, path):
    other = run(make, path)
    time.sleep(0.1)
    lock_of(path).unlink()
    other.join(30)
    assert path.exists() and held.is_alive()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EACCES])
def test_a_file_system_without_locks_is_gone_on_without(number, path, monkeypatch):
    monkeypatch.setattr(fcntl, "lockf", Mock(side_effect=OSError(number, "no")))
    make(path)
    assert path.exists() and not lock_of(path).exists()


def block_folder(path):
    path.parent.write_text("a file")


def link_lock(path):
    path.parent.mkdir()
    lock_of(path).symlink_to("/dev/zero")


def pipe_lock(path):
    path.parent.mkdir()
    os.mkfifo(lock_of(path))


@pytest.mark.parametrize("hinder", [block_folder, link_lock, pipe_lock])
def test_where_no_lock_can_be_made_it_is_gone_on_without(hinder, path):
    hinder(path)
    entered = False
    with build_once(path):
        entered = True
    assert entered


def test_errors_of_the_block_come_through(path):
    with pytest.raises(FileNotFoundError), build_once(path):
        open_plain(path)
