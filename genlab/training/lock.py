"""Whose a run folder is: one process trains into it, by a lock that dies with its owner. Imports nothing slow."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.config.untrusted_files import read_json
from genlab.files import open_plain

log = logging.getLogger("genlab")

_NAME = ".lock"
_REFUSED = (errno.EACCES, errno.EAGAIN)

TAKEN = "another process is training into this folder; wait for it or end it"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. `ValueError` where another process holds it.

    A record lock belongs to the process and not to the open file: forked workers of a loader that outlive a killed run
    for a moment do not keep it.
    """
    with open_plain(folder / _NAME, os.O_RDWR | os.O_CREAT) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _REFUSED:
                raise ValueError(f"{folder}: {TAKEN}") from None
            log.warning("%s: cannot be locked (%s); see to it that no other process trains into it", folder, error)
        yield


def is_locked(folder: Path) -> bool:
    """Whether another process holds the lock of a run folder. Never to be asked by the one that may hold it itself:
    closing the file would let go of its lock."""
    try:
        file = open_plain(folder / _NAME, os.O_RDONLY)
    except (OSError, ValueError):  # none was made, or it is not ours to look at
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _REFUSED
    return False


def holds_run(folder: Path) -> bool:
    """Whether a run began in this folder."""
    return (folder / "config.yaml").exists() or (folder / "checkpoints").exists()


def read_status(folder: Path) -> dict:
    """`status.json`, but "killed" where it says "running" and no process is. `ValueError` where it cannot be read."""
    status = read_json(folder / "status.json")
    if not isinstance(status, dict):
        raise ValueError(f"{folder}: its status.json is damaged or of another version")
    killed = status.get("status") == "running" and not is_locked(folder)
    return status | {"status": "killed"} if killed else status


def state_of(folder: Path) -> str | None:
    """The run's state in a word, None where its folder does not tell."""
    try:
        return read_status(folder).get("status")
    except ValueError:
        return None
