"""Run-folder lock: one process at a time; the system releases it when that process exits. Imports nothing slow."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.checkpoints.folder import LOCK
from genlab.system.files import open_plain

log = logging.getLogger("genlab")

_REFUSED = (errno.EACCES, errno.EAGAIN)

TAKEN = "another process is training into this folder; wait for it or end it"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's or a sweep's folder. `ValueError` if another process holds it.

    A record lock belongs to the process and not to the open file. So forked loader workers, which may briefly outlive a
    killed run, do not keep it.
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
    """Whether another process holds the lock of `folder`. The holder must not call this: closing the file would release
    its lock."""
    try:
        file = open_plain(folder / LOCK, os.O_RDONLY)
    except (OSError, ValueError):  # there is no lock file, or we may not read it
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _REFUSED
    return False
