"""Results that are written to disk while they are computed, and become files only when complete."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy


@dataclass
class _Column:
    file: BinaryIO
    dtype: np.dtype
    shape: tuple[int, ...]
    size: int = 0


class NpzWriter(AbstractContextManager):
    """Named arrays that grow by rows, in anonymous files: memory does not grow, and a failure leaves no files.

    folder: for the anonymous files; on the disk of the results, since /tmp is in memory on many systems.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.columns: dict[str, _Column] = {}

    def add(self, **rows: np.ndarray) -> None:
        """Append rows [n, ...] to each of the named arrays; the first call sets dtype and shape of a row."""
        for name, values in rows.items():
            if name not in self.columns:
                self.columns[name] = _Column(self._file(), values.dtype, values.shape[1:])
            column = self.columns[name]
            column.file.write(values.astype(column.dtype, copy=False).tobytes())
            column.size += len(values)

    def rows(self, name: str) -> Iterator[np.ndarray]:
        """The rows of one array, one after another."""
        column = self.columns[name]
        column.file.seek(0)
        count = int(np.prod(column.shape))
        for _ in range(column.size):
            row = column.file.read(count * column.dtype.itemsize)
            yield np.frombuffer(row, column.dtype).reshape(column.shape)

    def save(self, path: Path) -> None:
        """Write all arrays as one compressed file that `numpy.load` reads."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, column in self.columns.items():
                column.file.seek(0)
                shape, descr = (column.size, *column.shape), npy.dtype_to_descr(column.dtype)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})
                    shutil.copyfileobj(column.file, member)

    def _file(self) -> BinaryIO:
        return TemporaryFile(dir=self.folder)

    def __exit__(self, *_: object) -> None:
        for column in self.columns.values():
            column.file.close()
