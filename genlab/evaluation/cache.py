"""What took long to compute, kept in the user's cache folder: written whole, read as plain data, never trusted."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from genlab.training import checkpoint

log = logging.getLogger("genlab")

T = TypeVar("T")


def read(path: Path, parse: Callable[[dict], T]) -> T | None:
    """What `parse` makes of the entry at `path`; None, with a warning, where it is damaged, or where there is none."""
    if not path.is_file():
        return None
    try:
        return parse(checkpoint.load(path))
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        log.warning("%s is damaged and computed again (%s)", path, " ".join(str(error).split())[:200])
        return None


def write(path: Path, state: dict) -> None:
    """Put tensors and builtins into the cache; where that cannot be written, the next run computes them again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Runs that start together write the same file: each works in a folder of its own.
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as scratch:
            checkpoint.save(state, Path(scratch, path.name))
            os.replace(Path(scratch, path.name), path)
    except OSError as error:
        log.warning("%s is not kept (%s)", path, error)
