"""Atomic file writes that survive crashes and power failures, and locks so that one job builds a shared file."""

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
"""Seconds after which a job reports what it is waiting for."""


@contextmanager
def replacing_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """A path to write a file to, which replaces `path` when the block ends, and is deleted if it fails.

    It is a hidden file in the same folder. durable: sync content and name to disk before returning; not needed for
    files that are worthless after a power failure.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # it may be a hard link to a file that must not change
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """The same as an open file, for writing and reading."""
    with replacing_path(path, durable) as temporary, temporary.open("xb+") as file:
        yield file


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` to `path` atomically: a reader sees the whole old or the whole new content."""
    with replacing(path, durable) as file:
        file.write(text.encode())


def open_plain(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a regular file; `ValueError` for any other: a link may point anywhere, and reading a pipe blocks."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path}: is no plain file; remove it")
    return os.fdopen(handle, "r+b" if flags & os.O_RDWR else "rb")


@contextmanager
def build_once(path: Path) -> Iterator[None]:
    """Build `path` once: the first process holds the lock while it runs the block, the others wait.

    Then they all proceed together, whether it succeeded or not: what one job failed to build, the others need not try
    one by one. If the holder is killed or interrupted, a waiting process takes over. Correctness must not depend on
    this: if locking fails, each process builds its own copy. The block must not wait for another process of the same
    run, which may be waiting for the lock.

    It is a record lock, which belongs to the process and not to the open file: forked workers do not keep it.
    """
    lock = path.with_name(f".{path.name}.lock")
    missing = [folder for folder in lock.parents if not folder.exists()]
    with ExitStack() as stack:
        holds = False
        with suppress(OSError, ValueError):  # a read-only folder, or a lock that was removed meanwhile
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open_plain(lock, os.O_RDWR | os.O_CREAT))
            holds = _wait(file, lock, path)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            holds = False
            raise
        finally:
            if holds:  # a missing file means that its holder is done; a killed holder leaves it behind
                with suppress(OSError):
                    lock.unlink()
                    for folder in missing:  # delete the new folders if they are empty
                        folder.rmdir()


def _wait(file: BinaryIO, lock: Path, path: Path) -> bool:
    """True once this process holds the lock; False, or `FileNotFoundError`, once another process has finished.

    It polls: a blocking lock would not return if a user removes the lock file of a job that hangs.
    """
    start, reported = time.monotonic(), False
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        except OSError:
            held = True  # the file system has no locks: there is nothing to wait for
        if not os.path.samestat(os.fstat(file.fileno()), os.lstat(lock)):
            return False
        if held:
            return True
        waited = time.monotonic() - start
        if waited > LONG_WAIT and not reported:
            log.info("waiting for another job that makes %s; remove %s to continue without it", path, lock)
            reported = True
        time.sleep(min(0.5, 0.01 + waited / 10))


def _sync(path: Path) -> None:
    """Sync a file's content, or a folder's entries (else a power failure may undo a rename), to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
