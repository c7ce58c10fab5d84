"""An on-disk cache of tensors that are slow to make. A second run memory-maps them and starts at once.

An entry is one file of tensors with the hash of its request, which parallel jobs share in memory. Jobs that start
together build an entry once, if the file system supports locks. The cache never holds the only copy: damaged or
outdated entries are rebuilt, entries that cannot be written are skipped, and all of them may be deleted at any time.
GENLAB_CACHE= disables it.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.system import files, seeding, tensor_file
from genlab.system.files import build_once, open_plain
from genlab.system.text import size_in_words

log = logging.getLogger("genlab")

FORMAT = 3

MOST_BYTES = 8 * 2**30
"""Maximum total size of all entries; the least recently used are evicted for a new one."""

WORTH_SECONDS, WORTH_SPEED = 0.1, 1e9
"""Tables made in less time, or faster (bytes/s) than their checksum can be verified, are not cached."""


def cache_dir() -> Path | None:
    """Folder for data that can be recreated: $GENLAB_CACHE, else in the user's cache folder. It may be missing, or not
    be writable. None if GENLAB_CACHE is empty or /dev/null, or the user has no home directory."""
    place = os.environ.get("GENLAB_CACHE")
    if place is None:
        base = os.environ.get("XDG_CACHE_HOME", "")
        place = os.path.join(base if os.path.isabs(base) else "~/.cache", "genlab")
    if place in ("", os.devnull):
        return None
    folder = os.path.expanduser(place)
    if folder.startswith("~"):
        _warn(place, "there is no home directory")
        return None
    return Path(folder)


def writable_dir() -> Path:
    """The cache folder; a temporary one for this process, if that cannot be written."""
    folder = cache_dir()
    if folder is None or not files.can_write(folder):
        return files.temporary_folder()
    return folder


def weights_file(name: str) -> Path:
    """Where published weights are, or are to be downloaded to: torch's hub folder, else `writable_dir`."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    known = os.path.isfile(folder / name) or (folder.is_absolute() and files.can_write(folder))  # "~" is not absolute
    return (folder if known else writable_dir()) / name


@cache
def _warn(folder: str | Path, reason: str) -> None:
    """Report once that tables are not kept for other runs."""
    log.warning(
        "cache: %s cannot be used (%s); set GENLAB_CACHE to another folder, or to none: GENLAB_CACHE=", folder, reason
    )


def cached(
    request: dict[str, Any],
    inputs: Iterable[str | Path],
    make: Callable[[], dict[str, Tensor]],
    extra_seconds: float = 0.0,
) -> dict[str, Tensor]:
    """The table that `make` returns, from the cache if it was made before.

    request: everything else that determines the table, as JSON values. inputs: files that it is made from, identified
    by path, size and modification time. A cached table may be modified like any other: it is mapped copy-on-write, so
    the files do not change.
    extra_seconds: what `make` costs a new process beyond what it may take here, such as an import.
    """
    try:
        key = _key(request, inputs)
    except OSError:  # an input file is missing, which `make` reports
        return make()
    if (folder := cache_dir()) is None:
        return make()
    path = folder / "tables" / f"{key[:32]}.safetensors"
    with suppress(OSError, ValueError):  # logged below, unless another job rebuilds it first
        return _read(path, key)
    with build_once(path):
        try:
            return _read(path, key)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass
        except (OSError, ValueError) as error:
            log.info("data: %s is damaged and made again (%s)", path, " ".join(str(error).split())[:200])
        return _made(path, key, make, extra_seconds)


def _made(path: Path, key: str, make: Callable[[], dict[str, Tensor]], extra_seconds: float) -> dict[str, Tensor]:
    """The table that `make` returns, stored at `path` if that saves time."""
    start = time.perf_counter()
    table = make()
    seconds = time.perf_counter() - start + extra_seconds
    size = sum(value.nbytes for value in table.values())
    if seconds > WORTH_SECONDS and seconds > size / WORTH_SPEED:
        try:
            _write(path, key, table)
        except OSError as error:
            _warn(path.parent.parent, error.strerror or str(error))
    return table


def _key(request: dict[str, Any], inputs: Iterable[str | Path]) -> str:
    """A hash of everything the table depends on, including the code of genlab/data. Callers from other packages put a
    version of theirs into `request`."""
    digest = hashlib.sha256(json.dumps([FORMAT, request, _code()]).encode())
    for path in inputs:
        state = os.stat(path)
        digest.update(os.fsencode(f"{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}\0"))
    return digest.hexdigest()


@cache
def _code() -> list[str]:
    """Versions of all code that renders, decodes or resizes; for this package a hash of its source text."""
    import PIL

    code = [*sorted(Path(__file__).parent.glob("*.py")), Path(seeding.__file__)]
    text = b"".join(path.read_bytes() for path in code)
    return [hashlib.sha256(text).hexdigest(), torch.__version__, PIL.__version__, np.__version__]


def _read(path: Path, key: str) -> dict[str, Tensor]:
    """The table in a file. `ValueError` unless it is the one asked for, intact to the last bit; `OSError` if none."""
    open_plain(path).close()  # a shared folder may hold a pipe, which would be waited for
    table, metadata = tensor_file.read(path)
    names = json.loads(metadata.get("names", "[]"))  # in order, which the tensors of a file have not
    if metadata.get("key") != key or not isinstance(names, list) or sorted(map(str, names)) != sorted(table):
        raise ValueError("it holds another table")
    with suppress(OSError):  # another user's file may be read-only
        os.utime(path)  # time of last use
    return {name: table[name] for name in names}


def _write(path: Path, key: str, table: dict[str, Tensor]) -> None:
    """Write an entry and rename it into place as a whole. Not durable: after a power loss, its checksum would fail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_room(path.parent, sum(value.nbytes for value in table.values()))
    # Without locks, jobs that start together write the same entry: each writes a file of its own first.
    own = path.with_stem(f"{path.stem}-{os.urandom(4).hex()}")
    try:
        tensor_file.write(own, table, {"key": key, "names": json.dumps(list(table))}, durable=False)
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def _make_room(tables: Path, size: int) -> None:
    """Evict the least recently used entries until one of `size` bytes fits. `OSError` if it cannot."""
    if size > min(MOST_BYTES, shutil.disk_usage(tables).free / 2):
        raise OSError(f"{size_in_words(size)} are too much for it")
    entries = {}
    for entry in tables.iterdir():
        with suppress(FileNotFoundError):  # another job removed it
            if entry.suffix != ".lock" and not entry.is_symlink():
                used = sum(file.lstat().st_size for file in (entry, *entry.rglob("*")))
                entries[entry] = (entry.lstat().st_mtime, used)
    total = size + sum(used for _, used in entries.values())
    for entry in sorted(entries, key=lambda path: entries[path]):
        if total <= MOST_BYTES:
            break
        shutil.rmtree(entry, ignore_errors=True)  # former versions made folders
        with suppress(OSError):
            entry.unlink()  # jobs that have mapped it keep their data
        total -= entries[entry][1]
