"""Arrays in files that numpy wrote: what they are is known from their headers, before their data are read."""

import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, KeyError, EOFError, OSError, RuntimeError)
"""Errors of zipfile and numpy on damaged files. RuntimeError: encrypted, or an unknown compression method."""


class Header(NamedTuple):
    """Shape and dtype of an array, known before its data is read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


_LABELS = "uifUS"
"""Kinds of dtype that can hold labels: numbers, which must be whole, and texts."""

LABEL_NAMES = ("label", "labels", "class", "classes", "target", "targets", "y")
"""What labels are usually called; other floats are rather measurements."""


def check_labels(where: str, header: Header, count: int, of: str = "images") -> None:
    """`ValueError` unless an array can hold the labels of `count` images. where: its source and header."""
    if header.dtype.kind not in _LABELS or header.shape != (count,):
        raise ValueError(
            f"{where} cannot be the labels of {count} {of}. Store one whole number, or one text, for each."
        )


def labels_hint(headers: Mapping[str, Header], count: int, used: Collection[str | None]) -> str:
    """How to make classes of an array, not among those `used`, that looks like the labels of `count` examples; empty if
    there is none."""
    for key, header in headers.items():
        kinds = _LABELS if key.lower() in LABEL_NAMES else "uiUS"
        if key not in used and header.shape == (count,) and header.dtype.kind in kinds:
            return f"dataset.labels_key={key} makes classes of {key} {header}, which is not used"
    return ""


def no_such_array(where: str, path: str, headers: Mapping[str, Header], axes: Sequence[int] = ()) -> ValueError:
    """The error on the setting `where` that names no array of a file; it proposes the only one of so many axes."""
    held = ", ".join(f"{name} {header}" for name, header in headers.items())
    fitting = [name for name, header in headers.items() if len(header.shape) in axes]
    give = f" Give {where.partition('=')[0]}={fitting[0]}." if len(fitting) == 1 else ""
    return ValueError(f"{where}: no such array in {path}, which holds {held}.{give}")


def existing_file(key: str, path: str | None, kind: str) -> str:
    """`path`, the value of dataset.KEY, with ~ expanded. kind: "npy" or "npz". `ValueError` if there is no file."""
    if path is None:
        raise ValueError(f"dataset.{key} is not set. Give a .{kind} file, as in dataset.{key}=faces.{kind}")
    file = os.path.expanduser(path)
    if not os.path.isfile(file):
        raise ValueError(f"dataset.{key}={path}: no such file. Give a .{kind} file that numpy wrote.")
    return file


def read_array(path: str, key: str) -> np.ndarray:
    """Read an array of an .npz file whose header is valid. `ValueError` if its data is damaged."""
    try:
        with np.load(path) as file:  # refuses objects, which could run code
            return file[key]
    except DAMAGE as error:
        raise ValueError(f"{path}: its array {key} is damaged ({error}). Write the file again.") from error


def read_headers(path: str, key: str = "dataset.path") -> dict[str, Header]:
    """The header of each array of an .npz file by name. key: what gave the path, for messages."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _read_header(archive, info) for info in archive.infolist()}
    except DAMAGE as error:
        raise ValueError(f"{key}={path} is not a sound .npz file ({error}). Write it by numpy.savez.") from error


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """`ValueError` if a member holds less data than its header claims: numpy's own check overflows."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(info) as member:
        shape, _, dtype = readers[np.lib.format.read_magic(member)](member)
        header, held = Header(shape, dtype), info.file_size - member.tell()
    # Arrays of objects can run code when they are loaded: their headers are known, and nothing takes them.
    if not dtype.hasobject and (min(shape, default=0) < 0 or header.nbytes > held):
        raise ValueError(f"{info.filename} claims to be {header}, but holds {held} bytes")
    return header
