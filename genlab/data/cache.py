"""An on-disk cache of tensors that are slow to make. A second run memory-maps them and starts at once.

An entry is a folder: a .npy file per field, which parallel jobs share in memory, and a manifest of the request. Jobs
that start together build an entry once, if the file system supports locks. The cache never holds the only copy: damaged
or outdated entries are rebuilt, entries that cannot be written are skipped, and all of them may be deleted at any time.
GENLAB_CACHE=/dev/null disables it.
"""

import hashlib
import json
import logging
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.system import seeding
from genlab.system.files import build_once, open_plain

log = logging.getLogger("genlab")

FORMAT = 1

MOST_BYTES = 8 * 2**30
"""Maximum total size of all entries; the least recently used are evicted for a new one."""

WORTH_SECONDS, WORTH_SPEED = 0.1, 1e9
"""Tables made in less time, or faster (bytes/s) than their checksum can be verified, are not cached."""

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 2**16
_LARGEST_HEADER = 2**10  # bytes of a .npy file before its data
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError)

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype for dtype in (torch.uint8, torch.int64, torch.float32, torch.float64)
}

Layout = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""Dtype and shape of each field of a table."""


def cache_dir() -> Path:
    """Folder for data that can be recreated: $GENLAB_CACHE, else the user's cache folder."""
    if "GENLAB_CACHE" in os.environ:
        return Path(os.environ["GENLAB_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genlab"


def cached(
    request: dict[str, Any],
    files: Iterable[str | Path],
    layout: Layout | None,
    make: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """The table that `make` returns, from the cache if it was made before.

    request: everything else that determines the table, as JSON values. files: its input files, identified by path, size
    and modification time. layout: the expected fields; None if not known in advance. A cached table may be modified
    like any other: it is mapped copy-on-write, so the files do not change.
    """
    try:
        key = _key(request, files)
        folder = cache_dir() / "tables" / key[:32]
    except (OSError, RuntimeError):  # an input file is missing, which `make` reports, or there is no home directory
        return make()
    with suppress(*_DAMAGE):  # logged below, unless another job rebuilds it first
        if found := _read(folder, key, layout):
            return found
    with build_once(folder):
        try:
            if found := _read(folder, key, layout):
                return found
        except _DAMAGE as error:
            log.info("data: %s is damaged and made again (%s)", folder, " ".join(str(error).split())[:200])
        return _made(folder, key, make)


def _made(folder: Path, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The table that `make` returns, stored in `folder` if that saves time."""
    start = time.perf_counter()
    table = make()
    seconds, size = time.perf_counter() - start, sum(value.nbytes for value in table.values())
    if seconds > WORTH_SECONDS and seconds > size / WORTH_SPEED:
        try:
            _write(folder, key, table)
        except OSError as error:
            log.info("data: made in %.1f s and not kept for other runs (%s)", seconds, error)
    return table


def _key(request: dict[str, Any], files: Iterable[str | Path]) -> str:
    """A hash of everything the table depends on, including the code of genlab/data. Callers from other packages put a
    version of theirs into `request`."""
    digest = hashlib.sha256(json.dumps([FORMAT, request, _code()]).encode())
    for path in files:
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


def _described(layout: Layout) -> dict[str, list]:
    """`layout` in the JSON form of a manifest."""
    return {name: [str(dtype).removeprefix("torch."), list(shape)] for name, (dtype, shape) in layout.items()}


def _read(folder: Path, key: str, layout: Layout | None) -> dict[str, Tensor] | None:
    """The table in `folder`, None if there is none. Raises one of `_DAMAGE` unless it is intact to the last bit."""
    if not folder.exists():
        return None
    with open_plain(folder / _MANIFEST) as file:
        manifest = json.loads(file.read(_LARGEST_MANIFEST))
    found = {name: (_DTYPES[dtype], tuple(map(int, shape))) for name, (dtype, shape) in manifest["fields"].items()}
    if manifest["key"] != key or layout not in (None, found) or set(manifest["sha256"]) != set(found):
        raise ValueError("its manifest is of another table")
    if any("/" in name for name in found):
        raise ValueError("its manifest is of another table")
    table = {name: _mapped(folder / f"{name}.npy", *found[name], manifest["sha256"][name]) for name in found}
    with suppress(OSError):  # another user's folder may be read-only
        os.utime(folder)  # time of last use
    return table


def _mapped(path: Path, dtype: torch.dtype, shape: tuple[int, ...], sha256: str) -> Tensor:
    """The data of a .npy file, mapped copy-on-write. `ValueError` if its size or checksum is wrong.

    The size is checked before mapping: reading past the end of a mapped file would kill the process.
    """
    with open_plain(path) as file:
        header = os.fstat(file.fileno()).st_size - prod(shape) * dtype.itemsize
        if not 0 < header <= _LARGEST_HEADER or header % dtype.itemsize:
            raise ValueError(f"{path.name} has another size")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} has another checksum")
    numbers = torch.frombuffer(content, dtype=dtype, offset=header) if prod(shape) else torch.empty(0, dtype=dtype)
    return numbers.view(shape)


def _write(folder: Path, key: str, table: dict[str, Tensor]) -> None:
    """Write an entry and rename it into place as a whole. No fsync: after a power loss, its checksum would fail."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make_room(folder.parent, sum(value.nbytes for value in table.values()))
    # Without locks, jobs that start together write the same entry: each uses its own temporary folder.
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder.parent) as scratch:
        entry, former = Path(scratch, "entry"), Path(scratch, "former")
        entry.mkdir()
        checksums = {}
        for name, value in table.items():
            np.save(entry / f"{name}.npy", value.numpy())
            checksums[name] = hashlib.sha256((entry / f"{name}.npy").read_bytes()).hexdigest()
        layout = {name: (value.dtype, tuple(value.shape)) for name, value in table.items()}
        manifest = {"format": FORMAT, "key": key, "fields": _described(layout), "sha256": checksums}
        (entry / _MANIFEST).write_text(json.dumps(manifest, indent=2))
        with suppress(FileNotFoundError):
            os.rename(folder, former)
        os.rename(entry, folder)


def _make_room(tables: Path, size: int) -> None:
    """Evict the least recently used entries until one of `size` bytes fits. `OSError` if it cannot."""
    if size > min(MOST_BYTES, shutil.disk_usage(tables).free / 2):
        raise OSError(f"{size / 2**30:.1f} GiB are too much for {tables}")
    entries = {}
    for entry in tables.iterdir():
        with suppress(FileNotFoundError):  # another job removed it
            if entry.is_symlink():
                continue
            used = sum(file.lstat().st_size for file in entry.rglob("*"))
            entries[entry] = (entry.lstat().st_mtime, used)
    total = size + sum(used for _, used in entries.values())
    for entry in sorted(entries, key=lambda path: entries[path]):
        if total <= MOST_BYTES:
            break
        shutil.rmtree(entry, ignore_errors=True)  # jobs that have mapped it keep their data
        total -= entries[entry][1]
