"""What took long to compute, kept in the user's cache folder: written whole, read as plain data, never trusted.

Runs that start together compute it once, as far as the file system has locks.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from genlab.files import one_maker
from genlab.training import checkpoint

log = logging.getLogger("genlab")

T = TypeVar("T")

_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, RuntimeError)


def kept(path: Path, parse: Callable[[dict], T], make: Callable[[], T], state: Callable[[T], dict]) -> T:
    """What `parse` makes of the entry at `path`; what `make` gives, where there is none, or a damaged one.

    state: tensors and builtins that `parse` understands, of what was made: the entry from then on.
    """
    if path.is_file():
        with suppress(*_DAMAGE):  # warned of below, unless another run mends it meanwhile
            return parse(checkpoint.load(path))
    with one_maker(path):
        if (found := read(path, parse)) is None:
            found = make()
            write(path, state(found))
        return found


def read(path: Path, parse: Callable[[dict], T]) -> T | None:
    """What `parse` makes of the entry at `path`; None, with a warning, where it is damaged, or where there is none."""
    if not path.is_file():
        return None
    try:
        return parse(checkpoint.load(path))
    except _DAMAGE as error:
        log.warning("%s is damaged and computed again (%s)", path, " ".join(str(error).split())[:200])
        return None


def write(path: Path, state: dict) -> None:
    """Put tensors and builtins into the cache; where that cannot be written, the next run computes them again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without locks, runs that start together write the same file: each works in a folder of its own.
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as scratch:
            checkpoint.save(state, Path(scratch, path.name))
            os.replace(Path(scratch, path.name), path)
    except (OSError, checkpoint.Unwritable) as error:
        log.warning("%s is not kept (%s)", path, error)
