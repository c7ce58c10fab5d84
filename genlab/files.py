"""Files that are there as a whole or not at all, also after a crash or a loss of power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` written down: else a loss of power gives a file its old name back."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
