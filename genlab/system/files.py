"""Atomic file writes that survive crashes and power failures, and locks so that one job builds a shared file."""

import csv
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

from genlab.system.text import size_in_words

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
            sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """The same as an open file, for writing and reading."""
    with replacing_path(path, durable) as temporary, temporary.open("xb+") as file:
        yield file


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` to `path` atomically: a reader sees the whole old or the whole new content."""
    with replacing(path, durable) as file:
        file.write(text.encode(errors="backslashreplace"))  # a name may hold bytes that are no text


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """`rows` as the text of a CSV file."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write `rows` to a CSV file in UTF-8; bytes of names that are no text as \\udcXX."""
    path.write_text(csv_text(rows), encoding="utf-8", errors="backslashreplace", newline="")


def utf8_name(path: Path, handle: int) -> str:
    """The name of what is open as `handle`, for libraries that take UTF-8 alone: `path`, or else that of the handle."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return f"/proc/self/fd/{handle}"  # only Linux has other names
    return str(path)


def open_plain(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a regular file; `ValueError` for any other: a link may point anywhere, and reading a pipe blocks."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path}: is no plain file; remove it")
    return os.fdopen(handle, "r+b" if flags & os.O_RDWR else "rb")


def check_room(folder: Path, what: str, nbytes: int) -> None:
    """`ValueError` if the disk of `folder` has no room for the `nbytes` of `what`."""
    if nbytes > (free := shutil.disk_usage(folder).free):
        needs, left = size_in_words(nbytes), size_in_words(free)
        raise ValueError(f"{what}: needs {needs}, and the disk of {folder} has {left}; free some, or ask for less")


@contextmanager
def build_once(path: Path) -> Iterator[None]:
    """Let one process at a time run the block, which builds `path` unless it finds that another has built it meanwhile.

    If the holder of the lock fails or is killed, a waiting process takes over. Correctness must not depend on this:
    where nothing can be locked (a read-only folder, a file system without locks), each process builds its own copy. The
    block must not wait for another process of the same run, which may be waiting for the lock.

    A flock belongs to the open file, which forked workers inherit; filelock closes it in them, so that a worker that
    outlives its parent does not keep the lock.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), poll_interval=0.1, fallback_to_soft=False)
    missing = [folder for folder in path.parents if not os.path.exists(folder)]  # Path.exists fails without rights
    with suppress(OSError):
        _wait(lock, path)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock.lock_file)  # while it is held: whoever waits for the removed file tries again
        lock.release()
        with suppress(OSError):
            for folder in missing:  # a failed block leaves no empty folders
                folder.rmdir()


def _wait(lock: BaseFileLock, path: Path) -> None:
    """Acquire `lock`; `OSError` if that is impossible. A user can end a long wait by removing the lock file."""
    try:
        lock.acquire(timeout=LONG_WAIT)
    except Timeout:
        log.info("waiting for another job that makes %s; remove %s to continue without it", path, lock.lock_file)
        lock.acquire()


def can_write(folder: Path) -> bool:
    """Whether files can be created in `folder`, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest place above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))


def not_writable(folder: Path) -> Path | None:
    """The place that would have to be written to make files in `folder`, which need not exist, but cannot be."""
    place = existing(folder)
    return None if can_write(place) else place


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="genlab-", ignore_cleanup_errors=True)


def temporary_folder() -> Path:
    """A folder that is removed when this process ends, in place of a cache that cannot be written."""
    return Path(_temporary_folder().name)


def sync(path: Path) -> None:
    """Sync a file's content, or a folder's entries (else a power failure may undo a rename), to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
