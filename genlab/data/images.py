"""Tables of image files, and images resized."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from genlab.contract.data import ImageShape
from genlab.data.cache import cached
from genlab.data.decoding import MODES, Half, UnreadableError, decode
from genlab.data.listing import shown
from genlab.data.source import Examples
from genlab.system import cores

SKIP = "dataset.skip_damaged"
"""The setting that leaves damaged files out."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue, ITU-R BT.601."""

_FIXED_POINT = torch.tensor([19595, 38470, 7471])[:, None, None].int()
"""The same in 16 binary places, as PIL computes it."""

NAMED = 10
"""Damaged files named in a message."""

_IMAGES_PER_TASK = 32
_SLICE = 2**20  # values resized at once: as floats they still fit in the CPU cache


def image_size(channels: int, size: int | list[int]) -> ImageShape:
    """(channels, height, width) of `dataset.channels` and `dataset.size` (a number, or [height, width])."""
    if channels not in MODES:
        raise ValueError(f"dataset.channels={channels} is not known. Give 3 for colour or 1 for grey.")
    sides = [size, size] if isinstance(size, int) else size
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"dataset.size={size} is no image size. Give pixels, as in 64 or [64,48] (height, width).")
    height, width = sides
    return channels, height, width


def resize(images: Tensor, size: int | None) -> Tensor:
    """uint8 [N, C, H, W] to [N, C, size, size], bilinear with antialiasing; unchanged if `size` is None or native.

    In slices: a float copy of the whole table would take four times its memory.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    resized = torch.empty(*images.shape[:2], size, size, dtype=torch.uint8)
    rows = max(1, min(4096, _SLICE // prod(resized.shape[1:])))
    for part, target in zip(images.split(rows), resized.split(rows), strict=True):
        target[:] = interpolate(part.float(), (size, size), mode="bilinear", antialias=True).round_().clamp_(0, 255)
    return resized


def with_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 [N, C, H, W] with 1 or 3 channels to `channels`, as PIL converts files; unchanged if they have those."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    grey = torch.empty(len(images), 1, *images.shape[2:], dtype=torch.uint8)
    rows = max(1, _SLICE // prod(images.shape[1:]))
    for part, target in zip(images.split(rows), grey.split(rows), strict=True):
        target[:] = (part.int() * _FIXED_POINT).sum(1, keepdim=True).add_(2**15) >> 16
    return grey


class ImageFiles(Examples):
    """Image files, decoded each time they are drawn, or all at once by `load`.

    field: name of the images in a batch; labels: int64 [N] or None; shape, crop, half, mixing: see `decode`.
    skip: the setting by which the user leaves damaged files out; None if there is none.
    others: files of the same dataset, which are examined too once one is damaged.
    """

    def __init__(
        self,
        field: str,
        paths: list[str],
        shape: ImageShape,
        labels: Tensor | None = None,
        crop: int | None = None,
        half: Half | None = None,
        mixing: bool = True,
        skip: str | None = None,
        others: Sequence[str] = (),
    ):
        self.field, self.paths, self.shape, self.labels, self.crop, self.half = field, paths, shape, labels, crop, half
        self.mixing, self.skip, self.others = mixing, skip, others
        self.nbytes = len(paths) * int(np.prod(shape)) + (0 if labels is None else labels.nbytes)

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        images = torch.empty(len(index), *self.shape, dtype=torch.uint8)
        damaged = []
        for row, target in zip(index.tolist(), images, strict=True):
            try:
                target[:] = self._decode(self.paths[row])
            except UnreadableError as error:
                damaged.append(error)
        if damaged:
            raise refusal(damaged, self.skip)
        return self._fields(images, index)

    def _decode(self, path: str) -> Tensor:
        return decode(path, self.shape, self.crop, self.half, self.mixing)

    def load(self) -> dict[str, Tensor]:
        request = {"images": self.shape, "crop": self.crop, "half": self.half}
        request |= {} if self.mixing else {"mixing": False}
        table = cached(request, self.paths, lambda: {"images": self._decode_all()})
        return self._fields(table["images"], torch.arange(len(self)))

    def _decode_all(self) -> Tensor:
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)

        def keep(row: int) -> None:
            images[row] = self._decode(self.paths[row])

        if damaged := _attempted(keep, len(self), "reading images"):
            others = sorted(set(self.others) - set(self.paths))
            more = _attempted(lambda row: self._decode(others[row]), len(others), "examining images")
            raise refusal([*damaged.values(), *more.values()], self.skip)
        return images

    def _fields(self, images: Tensor, index: Tensor) -> dict[str, Tensor]:
        labels = {} if self.labels is None else {"label": self.labels[index]}
        return {self.field: images, **labels}


def sound_rows(paths: Sequence[str], shape: ImageShape, half: Half | None = None) -> list[int]:
    """Rows of `paths` that can be decoded. Takes as long as decoding them, and is cached."""

    def examine() -> dict[str, Tensor]:
        sound = torch.ones(len(paths), dtype=torch.uint8)
        sound[list(_attempted(lambda row: decode(paths[row], shape, half=half), len(paths), "examining images"))] = 0
        return {"sound": sound}

    return cached({"sound": shape, "half": half}, paths, examine)["sound"].nonzero().flatten().tolist()


def without_damaged(paths: Sequence[str], sound: Sequence[int]) -> tuple[str, ...]:
    """A line on those of `paths` that are not among the rows `sound`, if there are any. `ValueError` if all are not."""
    damaged = sorted(set(paths) - {paths[row] for row in sound})
    if len(damaged) == len(set(paths)):
        raise ValueError(f"{SKIP}: none of the {len(damaged)} files can be read as an image: {shown(damaged, NAMED)}")
    return (f"{SKIP}: left out {len(damaged)} of {len(set(paths))} files: {shown(damaged, NAMED)}",) if damaged else ()


def refusal(damaged: Sequence[UnreadableError], skip: str | None) -> ValueError:
    """One line on all `damaged` files. skip: the setting that leaves them out, if there is one."""
    files = sorted({error.path: error for error in damaged}.values(), key=lambda error: error.path)
    problem, them = str(files[0]), "it"
    if len(files) > 1:
        reasons = [f"{error.path} ({error.reason})" for error in files]
        problem, them = f"{len(files)} files cannot be read: {shown(reasons, NAMED)}", "them"
    return ValueError(f"{problem}. Repair or remove {them}{f', or leave {them} out: {skip}=true' if skip else ''}.")


def _attempted(work: Callable[[int], object], count: int, doing: str) -> dict[int, UnreadableError]:
    """Do `work(row)` for all rows, in threads with a progress bar; the rows of files that cannot be read, and why."""
    damaged = {}

    def do(rows: Tensor) -> int:
        for row in rows.tolist():
            try:
                work(row)
            except UnreadableError as error:
                damaged[row] = error
        return len(rows)

    bar = tqdm(desc=doing, total=count, leave=False, disable=None)
    with bar, ThreadPoolExecutor(cores.available()) as pool:
        try:
            # In groups: dispatching a small image takes as long as decoding it.
            for done in pool.map(do, torch.arange(count).split(_IMAGES_PER_TASK)):
                bar.update(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # a signal need not wait for all images
            raise
    return dict(sorted(damaged.items()))
