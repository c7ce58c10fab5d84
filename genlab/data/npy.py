"""Images in one .npy file of any size: a file that does not fit in memory is read row by row as examples are drawn.

Rows need no decoding, so the training process reads them itself; workers would only add a copy. The offset of a row
follows from its index, so the cost of a step does not depend on the number of rows. The rows of the next batches are
announced to the operating system, which fetches them while the current step computes.
"""

import os
import weakref
from math import prod

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import image_spec
from genlab.contract.settings import Place
from genlab.data.checks import check_choice, check_range
from genlab.data.classes import classes_of
from genlab.data.numpy_files import DAMAGE, Header, check_labels, existing_file
from genlab.data.source import Examples, Source, StoredExamples
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory

_CHANNEL_AXES = {"channels_last": 2, "channels_first": 0}  # axes of a stored image
_PROBED = 64  # images checked before training
_SLICE = 2**24  # bytes read at once


class Npy(Source):
    """uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with C of 1 or 3: `x` uint8 [N, C, H, W], `label` int64 [N].

    path: the .npy file, as numpy.save or numpy.lib.format.open_memmap writes it.
    labels_path: a .npy file of whole numbers, or of texts, [N]; None for no labels.
    layout: "channels_last" or "channels_first" of an array with channels; None infers it from the axis of size 1 or 3.
    validation_fraction: fraction held out, drawn with `seed`. Every validation reads all of it.
    block_size: number of consecutive rows that stay in one split; about 100 for video frames.
    """

    def __init__(
        self,
        *,
        path: Place | None,
        labels_path: Place | None = None,
        layout: str | None = None,
        validation_fraction: float = 0.1,
        block_size: int = 1,
        seed: int = 0,
    ):
        check_range("block_size", block_size, 1, 2**40)
        array, header = _open_array("path", path)
        self.path, self.start = str(array.filename), array.offset
        where = f"dataset.path={path}: {header}"
        if header.dtype != np.uint8 or len(header.shape) not in (3, 4) or 0 in header.shape:
            advice = _conversion(array) if header.dtype.kind == "f" and array.size else ""
            raise ValueError(f"{where} cannot be images. Store them as uint8 [N, height, width, channels]{advice}.")
        if layout is not None:
            check_choice("layout", layout, tuple(_CHANNEL_AXES))
        self.stored: tuple[int, ...]
        if len(header.shape) == 4:
            self.stored, self.channel_axis = header.shape[1:], _channel_axis(header.shape[1:], layout, where)
        else:
            self.stored, self.channel_axis = (*header.shape[1:], 1), _CHANNEL_AXES["channels_last"]
        height, width = (side for axis, side in enumerate(self.stored) if axis != self.channel_axis)
        memory.check(16 * header.shape[0], f"{where}: the order of its images needs", "give a file with fewer")
        self.labels: Tensor | None = None
        num_classes, names = 0, tuple[str, ...]()
        if labels_path is not None:
            self.labels, num_classes, names = _read_labels(labels_path, header.shape[0])
        self.spec = image_spec((self.stored[self.channel_axis], height, width), num_classes, names)
        self.count, self.validation_fraction, self.block_size = header.shape[0], validation_fraction, block_size
        self.seed = seed
        self.sizes = split_sizes(self.count, validation_fraction)

    def open(self, split: str) -> list[Examples]:
        file = RowFile(self.path, self.start, self.stored)
        probed = torch.linspace(0, self.count - 1, min(_PROBED, self.count), dtype=torch.float64).long()
        if file.read(probed).max() <= 1:
            raise ValueError(f"{self.path} holds only 0 and 1 in the images checked. Store white as 255, black as 0.")
        rows = split_rows(self.count, self.validation_fraction, self.seed, self.block_size)[split]
        labels = None if self.labels is None else self.labels[rows]
        return [FileRows(file, rows, self.channel_axis, labels)]


class RowFile:
    """Contiguous rows of `shape`, uint8, from byte `start` of a file, which stays open."""

    def __init__(self, path: str, start: int, shape: tuple[int, ...]):
        self.path, self.start, self.shape, self.row_bytes = path, start, shape, prod(shape)
        self.handle = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.handle)
        # Rows are drawn at random, so read-ahead would be wasted.
        _advise(self.handle, 0, 0, "POSIX_FADV_RANDOM")

    def read(self, rows: Tensor) -> Tensor:
        """The rows at these indices (int64 [n]): uint8 [n, *shape]. `ValueError` if the file was truncated.

        A memory-mapped file would need no system call per row, but would kill the process if truncated.
        """
        found = torch.empty(len(rows), *self.shape, dtype=torch.uint8)
        for row, target in zip(rows.tolist(), found.view(len(rows), self.row_bytes).numpy(), strict=True):
            done = 0
            while done < self.row_bytes:  # a signal or a network file system may cut a read short
                count = os.preadv(self.handle, [target[done:]], self.start + row * self.row_bytes + done)
                if not count:
                    raise ValueError(f"{self.path} has become shorter since it was opened. Put it back as it was.")
                done += count
        return found

    def prefetch(self, rows: Tensor) -> None:
        """Ask the operating system to fetch these rows from disk."""
        for row in rows.tolist():
            _advise(self.handle, self.start + row * self.row_bytes, self.row_bytes, "POSIX_FADV_WILLNEED")


def _advise(handle: int, start: int, size: int, advice: str) -> None:
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(handle, start, size, getattr(os, advice))


class FileRows(StoredExamples):
    """Images stored as rows of a file: row i of the table is row `numbers[i]` (int64) of `file`."""

    def __init__(self, file: RowFile, numbers: Tensor, channel_axis: int, labels: Tensor | None):
        self.file, self.numbers, self.channel_axis, self.labels = file, numbers, channel_axis, labels
        self.shape = torch.empty(file.shape, device="meta").movedim(channel_axis, 0).shape
        self.nbytes = len(numbers) * file.row_bytes + (0 if labels is None else labels.nbytes)

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return self._fields(self._read(index).contiguous(), index)

    def prefetch(self, index: Tensor) -> None:
        self.file.prefetch(self.numbers[index])

    def load(self) -> dict[str, Tensor]:
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)
        index = torch.arange(len(self))
        for part in index.split(max(1, _SLICE // self.file.row_bytes)):
            self.prefetch(part)
            images[part[0] : part[-1] + 1] = self._read(part)
        return self._fields(images, index)

    def _read(self, index: Tensor) -> Tensor:
        """uint8 [n, C, H, W], in the memory layout of the file."""
        return self.file.read(self.numbers[index]).movedim(1 + self.channel_axis, 1)

    def _fields(self, images: Tensor, index: Tensor) -> dict[str, Tensor]:
        return {"x": images} if self.labels is None else {"x": images, "label": self.labels[index]}


def _channel_axis(stored: tuple[int, ...], layout: str | None, where: str) -> int:
    """The channel axis of a stored image, from `layout` or else the axis of size 1 or 3."""
    axes = [axis for name, axis in _CHANNEL_AXES.items() if layout in (None, name) and stored[axis] in (1, 3)]
    if not axes:
        raise ValueError(f"{where} is not [N, height, width, 1 or 3] or [N, 1 or 3, height, width]. Store it so.")
    if len(axes) > 1:
        names = " or ".join(_CHANNEL_AXES)
        raise ValueError(f"{where} may hold its channels first or last. Give dataset.layout={names}.")
    return axes[0]


def _open_array(key: str, path: str | None) -> tuple[np.memmap, Header]:
    """The array in the file `path`, the value of dataset.KEY: mapped, so that no more than its header is read."""
    file = existing_file(key, path, "npy")
    try:
        array = np.lib.format.open_memmap(file, mode="r")  # refuses objects, which could run code
    except (*DAMAGE, OverflowError) as error:
        raise ValueError(f"dataset.{key}={path} is not a sound .npy file ({error}). Write it by numpy.save.") from error
    if not array.flags.c_contiguous:
        raise ValueError(f"dataset.{key}={path} is stored by columns. Store numpy.ascontiguousarray(ARRAY).")
    return array, Header(array.shape, array.dtype)


def _conversion(array: np.memmap) -> str:
    """How floats become uint8, by the range of some of them."""
    some = array[np.linspace(0, len(array) - 1, min(_PROBED, len(array))).astype(int)]
    low, high = float(some.min()), float(some.max())
    scale = "* 255" if 0 <= low <= high <= 1 else "* 127.5 + 127.5" if -1 <= low <= high <= 1 else None
    if scale is None:
        return f"; these hold values from {low:g} to {high:g}"
    return f", as by numpy.save(NEW, numpy.rint(numpy.load(OLD) {scale}).astype('uint8'))"


def _read_labels(path: str, count: int) -> tuple[Tensor, int, tuple[str, ...]]:
    """Labels int64 [count] from a .npy file, the number of classes, and what these are called."""
    array, header = _open_array("labels_path", path)
    where = f"dataset.labels_path={path}: {header}"
    check_labels(where, header, count)
    classes = classes_of(array, where)
    return classes.numbers(array, where), len(classes.stored), classes.names
