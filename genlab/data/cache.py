"""The cache: tensors that take long to make, kept on the disk, so that a second run maps them and starts at once.

An entry is a folder of the cache: a .npy file for each field, which jobs that run side by side share in memory, and a
manifest of what was asked for. Jobs that start together make one once, as far as the file system has locks. It is
nobody's only copy: one that is damaged or outdated is made again, one that cannot be written is done without, and all
of them may be removed at any time. GENLAB_CACHE=/dev/null keeps none.
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
"""Of all entries together; those that were not used for longest make room for a new one."""

WORTH_SECONDS, WORTH_SPEED = 0.1, 1e9
"""What is made within so many seconds, or at more bytes a second than a checksum reads, is not kept."""

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 2**16
_LARGEST_HEADER = 2**10  # bytes of a .npy file before its numbers
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError)

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype for dtype in (torch.uint8, torch.int64, torch.float32, torch.float64)
}

Layout = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of each field of a table."""


def cache_dir() -> Path:
    """Where data goes that can be had again: $GENLAB_CACHE, else the user's cache folder."""
    if "GENLAB_CACHE" in os.environ:
        return Path(os.environ["GENLAB_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genlab"


def cached(
    request: dict[str, Any],
    files: Iterable[str | Path],
    layout: Layout | None,
    make: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """The table that `make` gives, from the cache if it was made before.

    request: what decides it, as JSON. files: what it is read from, told apart by path, size and time of change.
    layout: what it must hold; None if that is not known beforehand. A table from the cache may be written to like any
    other: the files stay as they are.
    """
    try:
        key = _key(request, files)
        folder = cache_dir() / "tables" / key[:32]
    except (OSError, RuntimeError):  # a file that is gone: whoever reads it knows what to say; or nobody's home
        return make()
    with suppress(*_DAMAGE):  # told of below, unless another job mends it meanwhile
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
    """The table that `make` gives, put in `folder` if that is worth while."""
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
    """A hash of everything that the table depends on, the code that makes it included."""
    digest = hashlib.sha256(json.dumps([FORMAT, request, _code()]).encode())
    for path in files:
        state = os.stat(path)
        digest.update(os.fsencode(f"{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}\0"))
    return digest.hexdigest()


@cache
def _code() -> list[str]:
    """The versions of all that renders, decodes and resizes: of this package by its text, as it changes most often."""
    import PIL

    code = [*sorted(Path(__file__).parent.glob("*.py")), Path(seeding.__file__)]
    text = b"".join(path.read_bytes() for path in code)
    return [hashlib.sha256(text).hexdigest(), torch.__version__, PIL.__version__, np.__version__]


def _described(layout: Layout) -> dict[str, list]:
    """`layout` as a manifest holds it."""
    return {name: [str(dtype).removeprefix("torch."), list(shape)] for name, (dtype, shape) in layout.items()}


def _read(folder: Path, key: str, layout: Layout | None) -> dict[str, Tensor] | None:
    """The table in `folder`, None where there is none; one of `_DAMAGE` where it is not as it was to the last bit."""
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
    with suppress(OSError):  # somebody else's folder can be read all the same
        os.utime(folder)  # when it was used last
    return table


def _mapped(path: Path, dtype: torch.dtype, shape: tuple[int, ...], sha256: str) -> Tensor:
    """The numbers at the end of a .npy file, copied page by page as they are written to. `ValueError` on other ones.

    The size is looked at before the file is touched: beyond its end a mapping holds nothing, and reading it kills.
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
    """Put an entry in place whole. Nothing waits for the disk: what a loss of power damages fails its checksum."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make_room(folder.parent, sum(value.nbytes for value in table.values()))
    # Without locks, jobs that start together write the same entry: each works in a folder of its own.
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
    """Remove the entries that were not used for longest until one of `size` bytes fits. `OSError` where it cannot."""
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
        shutil.rmtree(entry, ignore_errors=True)  # a job that has mapped it keeps what it mapped
        total -= entries[entry][1]
