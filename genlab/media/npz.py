"""Arrays in compressed files, also ones that are written to disk while they are computed."""

from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

Array = np.ndarray | Tensor | None


def save_npz(path: Path, **arrays: Array) -> None:
    """Write those arrays that are not None as one compressed file that `numpy.load` reads."""
    np.savez_compressed(path, **_given(arrays))


def _given(arrays: dict[str, Array]) -> dict[str, Any]:
    return {name: np.asarray(array) for name, array in arrays.items() if array is not None}


class NpzWriter(AbstractContextManager):
    """Named arrays that grow by rows, in anonymous files: memory does not grow, and a failure leaves no files.

    folder: for the anonymous files; on the disk of the results, since /tmp is in memory on many systems.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, tuple[BinaryIO, np.dtype]] = {}

    def add(self, **rows: Array) -> None:
        """Append rows [n, ...] to those arrays that are not None; the first call sets dtype and shape of a row."""
        for name, values in _given(rows).items():
            if name not in self.files:
                self.files[name] = self._file(), np.dtype((values.dtype, values.shape[1:]))
            self.files[name][0].write(values.tobytes())

    def array(self, name: str) -> np.ndarray:
        """All rows [N, ...] of one array, on the disk."""
        file, row = self.files[name]
        file.flush()
        return np.memmap(file, row, "r")

    def save(self, path: Path) -> None:
        """Write all arrays to one file, see `save_npz`."""
        save_npz(path, **{name: self.array(name) for name in self.files})

    def _file(self) -> BinaryIO:
        return TemporaryFile(dir=self.folder)

    def __exit__(self, *error: object) -> None:
        for file, _ in self.files.values():
            file.close()
