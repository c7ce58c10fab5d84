"""Run-folder lock: one process at a time; the system releases it when the process exits. Imports nothing slow."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.system.files import open_plain

log = logging.getLogger("genlab")

LOCK = ".lock"
_REFUSED = (errno.EACCES, errno.EAGAIN)

TAKEN = "another process is training into this folder; wait for it or end it"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's or a sweep's folder. `ValueError` if another process holds it.

    A record lock belongs to the process and not to the open file, so a loader's forked workers, which may outlive a
    killed run for a moment, do not keep it.
    """
    with open_plain(folder / LOCK, os.O_RDWR | os.O_CREAT) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _REFUSED:
                raise ValueError(f"{folder}: {TAKEN}") from None
            log.warning("%s: cannot be locked (%s); make sure that no other process trains into it", folder, error)
        yield


def is_locked(folder: Path) -> bool:
    """Whether another process holds the lock of `folder`. The one that holds it must not ask: closing the file would
    release the lock."""
    try:
        file = open_plain(folder / LOCK, os.O_RDONLY)
    except (OSError, ValueError):  # no lock was ever made, or it is not ours to read
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _REFUSED
    return False
