"""Files that are there as a whole or not at all, also after a crash or a loss of power, and made by one job for all."""

import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger("genlab")

LONG_WAIT = 2.0
"""Seconds after which a job says what it waits for."""


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read that takes the place of `path` when the block ends, and is gone when it fails.

    It has a hidden name in the same folder until then. durable: content and name are on the disk, and not only on their
    way to it, before this returns; what is worth nothing after a loss of power need not wait for that.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # it may be another name of a file that is not to change
    try:
        with temporary.open("xb+") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Let `path` hold `text`; a reader meets the old or the new one whole."""
    with replacing(path, durable) as file:
        file.write(text.encode())


def open_plain(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """A plain file, `ValueError` for others: a link may lead anywhere, and a pipe keeps its reader waiting."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path}: is no plain file; remove it")
    return os.fdopen(handle, "r+b" if flags & os.O_RDWR else "rb")


@contextmanager
def build_once(path: Path) -> Iterator[None]:
    """A block that makes `path` unless it is there: one process is in it, others wait until that one is through.

    Then they enter all at once. They find `path`; or what one job could not make, or not keep, they need not try one
    after another. Where the one was killed or interrupted, another takes its place. Nothing may rest on this: where no
    lock is to be had, each makes its own. Nothing inside may wait for another process of the same run, which may be
    waiting here.

    It is a record lock, which belongs to the process and not to the open file: forked workers do not keep it.
    """
    lock = path.with_name(f".{path.name}.lock")
    missing = [folder for folder in lock.parents if not folder.exists()]
    with ExitStack() as stack:
        holds = False
        with suppress(OSError, ValueError):  # a folder that cannot be written, or a lock that was removed meanwhile
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open_plain(lock, os.O_RDWR | os.O_CREAT))
            holds = _wait(file, lock, path)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            holds = False
            raise
        finally:
            if holds:  # that its file is gone tells a lock of one who is through from one that was left behind
                with suppress(OSError):
                    lock.unlink()
                    for folder in missing:  # where nothing was kept, nothing is left
                        folder.rmdir()


def _wait(file: BinaryIO, lock: Path, path: Path) -> bool:
    """True once this process is the one to make `path`; False, or `FileNotFoundError`, once another is through with it.

    It looks again and again: a wait within the system would not end where a user removes the lock of a job that hangs.
    """
    start, told = time.monotonic(), False
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        except OSError:
            held = True  # nobody can lock here: there is nothing to wait for
        if not os.path.samestat(os.fstat(file.fileno()), os.lstat(lock)):
            return False
        if held:
            return True
        waited = time.monotonic() - start
        if waited > LONG_WAIT and not told:
            log.info("waiting for another job that makes %s; remove %s to go on without it", path, lock)
            told = True
        time.sleep(min(0.5, 0.01 + waited / 10))


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` written down: else a loss of power gives a file its old name back."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
