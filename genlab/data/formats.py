"""Readers for the file formats of published datasets, which execute no code: MNIST's idx, CIFAR-10's pickles."""

import pickle
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGEST_FILE = 2**30
"""Maximum bytes of a file that is read at once; the largest published one is half that size."""


def read_idx(path: Path) -> Tensor:
    """Read MNIST's idx format: 2 zero bytes, type (8: uint8), number of dimensions, big-endian sizes, data."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        dimensions = head[3] if len(head) == 4 else 0
        shape = tuple(np.frombuffer(file.read(4 * dimensions), ">i4").tolist()) if 1 <= dimensions <= 3 else ()
        sound = len(shape) == dimensions > 0 and head[2] == 8 and min(shape) >= 0
        if not sound or prod(shape) != size - file.tell() or size > LARGEST_FILE:
            raise ValueError(f"{path} is damaged. Remove it to have it unpacked again.")
        return torch.from_numpy(np.fromfile(file, np.uint8).reshape(shape))


class _Arrays(pickle.Unpickler):
    """Unpickler for CIFAR-10's files: loads lists and arrays, and rejects anything that could run code."""

    _names = {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}

    def find_class(self, module: str, name: str) -> Any:
        if (module.removeprefix("numpy._core.").removeprefix("numpy.core."), name) not in self._names:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_arrays(path: Path) -> dict[str, Any]:
    """A batch of CIFAR-10: "data" uint8 [N, 3072], "labels" a list. `ValueError` if the file holds anything else."""
    try:
        with path.open("rb") as file:
            batch = _Arrays(file, encoding="latin1").load()
        return {"data": np.asarray(batch["data"], np.uint8), "labels": list(batch["labels"])}
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{path} is damaged ({error}). Remove {path.parent} to have it unpacked again.") from error
