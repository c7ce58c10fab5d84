"""Arrays that are written to disk while they are computed, and become a file only when complete."""

from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np


class NpzWriter(AbstractContextManager):
    """Named arrays that grow by rows, in anonymous files: memory does not grow, and a failure leaves no files.

    folder: for the anonymous files; on the disk of the results, since /tmp is in memory on many systems.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, tuple[BinaryIO, np.dtype]] = {}

    def add(self, **rows: np.ndarray) -> None:
        """Append rows [n, ...] to each of the named arrays; the first call sets dtype and shape of a row."""
        for name, values in rows.items():
            if name not in self.files:
                self.files[name] = self._file(), np.dtype((values.dtype, values.shape[1:]))
            self.files[name][0].write(values.tobytes())

    def array(self, name: str) -> np.ndarray:
        """All rows [N, ...] of one array, on the disk."""
        file, row = self.files[name]
        file.flush()
        return np.memmap(file, row, "r")

    def save(self, path: Path) -> None:
        """Write all arrays as one compressed file that `numpy.load` reads."""
        arrays: Any = {name: self.array(name) for name in self.files}
        np.savez_compressed(path, **arrays)

    def _file(self) -> BinaryIO:
        return TemporaryFile(dir=self.folder)

    def __exit__(self, *error: object) -> None:
        for file, _ in self.files.values():
            file.close()
