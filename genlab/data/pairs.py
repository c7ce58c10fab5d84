"""Pairs made of any images: b is the image, a is derived from it, and a translator learns the way back.

Grey to colour, edges to photograph, a hole to what was in it, coarse to fine: the tasks that Isola et al. 2017 put to
one network (Image-to-Image Translation with Conditional Adversarial Networks, https://arxiv.org/abs/1611.07004).
"""

from collections.abc import Callable
from dataclasses import replace
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from genlab.contract.data import DataSpec
from genlab.data.images import LUMINANCE
from genlab.data.source import SPLITS, Examples, Source, StoredExamples
from genlab.media.kinds import kind_of
from genlab.system.seeding import mix

HOLE_GREY = 128
REDUCTION = 4
"""Factor by which `downscale` reduces each side."""

_LEAST_HOLE, _LARGEST_HOLE = 0.25, 0.5  # sides of holes, as fractions of the image's smaller side
_SLICE = 2**22  # values derived at once: their floats still fit in the CPU cache


def gray(images: Tensor, holes: Tensor) -> Tensor:
    """The luminance of colour images."""
    return _luminance(images).round_().byte()


def edges(images: Tensor, holes: Tensor) -> Tensor:
    """Dark lines on white, the darker the steeper the luminance: 255 - |gradient| by Sobel's filters, which give twice
    the height of a sharp step (limited to black)."""
    around = pad(_luminance(images), (1, 1, 1, 1), mode="replicate")
    smooth_down = around[..., :-2, :] + 2 * around[..., 1:-1, :] + around[..., 2:, :]
    smooth_right = around[..., :-2] + 2 * around[..., 1:-1] + around[..., 2:]
    right = smooth_down[..., 2:] - smooth_down[..., :-2]
    down = smooth_right[..., 2:, :] - smooth_right[..., :-2, :]
    return (255 - torch.hypot(right, down) / 2).clamp_(min=0).round_().byte()


def mask(images: Tensor, holes: Tensor) -> Tensor:
    """The images with a grey square each: `holes` [N, 3] in [0, 1) say how large, how far down and how far right."""
    smaller = min(images.shape[-2:])
    least, largest = max(1, round(_LEAST_HOLE * smaller)), max(1, round(_LARGEST_HOLE * smaller))
    side = least + (holes[:, 0] * (largest - least + 1)).long()
    within_rows, within_columns = (
        _interval((place * (length - side + 1)).long(), side, length)
        for place, length in zip((holes[:, 1], holes[:, 2]), images.shape[-2:], strict=True)
    )
    hole = within_rows[:, None, :, None] & within_columns[:, None, None, :]
    return images.masked_fill(hole, HOLE_GREY)


def downscale(images: Tensor, holes: Tensor) -> Tensor:
    """Squares of `REDUCTION` x `REDUCTION` pixels in their mean colour."""
    height, width = images.shape[-2:]
    means = avg_pool2d(images.float(), REDUCTION, ceil_mode=True, count_include_pad=False)
    enlarged = interpolate(means, scale_factor=REDUCTION, mode="nearest")
    return enlarged[..., :height, :width].round_().byte()


DERIVED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gray": gray,
    "edges": edges,
    "mask": mask,
    "downscale": downscale,
}
"""By the name that `dataset.pair` takes: uint8 [N, C, H, W] and random numbers [N, 3] of each image, to a
uint8 [N, C', H, W]."""

_ONE_CHANNEL = ("gray", "edges")


def bicubic(a: Tensor) -> Tensor:
    """Of `downscale`: the squares' colours [N, C, H, W], enlarged smoothly."""
    size = [-(-side // REDUCTION) * REDUCTION for side in a.shape[-2:]]
    smooth = interpolate(a[..., ::REDUCTION, ::REDUCTION], size, mode="bicubic").clamp(0, 1)
    return smooth[..., : a.shape[-2], : a.shape[-1]]


def mean_fill(a: Tensor) -> Tensor:
    """Of `mask`: images [N, C, H, W] with the mean colour of what is seen in the hole, known by its grey."""
    hole = ((a * 255).round() == HOLE_GREY).all(1, keepdim=True)
    mean = (a * ~hole).sum((2, 3), keepdim=True) / (~hole).sum((2, 3), keepdim=True)
    return torch.where(hole, mean, a)


ANSWERS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "mask": ("mean fill", mean_fill),
    "downscale": ("bicubic", bicubic),
}
"""What a pair would be answered with without a model, by the name of the pair: a name, and images a [N, C, H, W] in
[0, 1] to b."""


class Paired(Source):
    """The images x of `source` as b, and a derived from them, in one table of pairs; labels are kept.

    pair: a name in `DERIVED`. seed: of the holes of `mask`, which are the same each time an example is drawn.
    """

    def __init__(self, source: Source, pair: str, seed: int = 0):
        self.source, self.pair, self.seed = source, pair, seed
        field = source.spec.fields.get("x")
        if field is None:
            raise ValueError(
                f"dataset.pair={pair}: needs a dataset of images x; this one holds a and b already; "
                "leave dataset.pair out"
            )
        if not kind_of(field).levels:
            raise ValueError(f"dataset.pair={pair}: needs a dataset of images; this one holds {field.kind}")
        if pair == "gray" and field.shape[0] == 1:
            raise ValueError("dataset.pair=gray: these images are grey already; give dataset.channels=3 if the dataset "
                             "has colours, or another pair, as in dataset.pair=edges")  # fmt: skip
        a = replace(field, shape=(1, *field.shape[1:])) if pair in _ONE_CHANNEL else field
        kept = {name: value for name, value in source.spec.fields.items() if name == "label"}
        self.spec = DataSpec({"a": a, "b": field, **kept}, paired=True, num_examples=source.spec.num_examples)
        self.sizes, self.notes = source.sizes, source.notes

    def open(self, split: str) -> list[Examples]:
        (table,) = self.source.open(split)
        kind = StoredPairs if isinstance(table, StoredExamples) else Pairs
        return [kind(table, self, mix(self.seed, SPLITS.index(split)))]


class Pairs(Examples):
    """The table of a source of images, with a derived from each when it is drawn. seed: of the table's holes."""

    def __init__(self, table: Examples, source: Paired, seed: int):
        self.table, self.derive, self.kept = table, DERIVED[source.pair], set(source.spec.fields) - {"a", "b"}
        self.shape = source.spec["a"].shape
        self.nbytes = table.nbytes + len(table) * prod(self.shape)
        self.holes = torch.rand(len(table), 3, generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return self._pairs(self.table.rows(index), self.holes[index])

    def load(self) -> dict[str, Tensor]:
        return self._pairs(self.table.load(), self.holes)

    def _pairs(self, fields: dict[str, Tensor], holes: Tensor) -> dict[str, Tensor]:
        b = fields["x"]
        a = torch.empty(len(b), *self.shape, dtype=torch.uint8)
        rows = max(1, _SLICE // prod(b.shape[1:]))
        for images, numbers, target in zip(b.split(rows), holes.split(rows), a.split(rows), strict=True):
            target[:] = self.derive(images, numbers)
        return {"a": a, "b": b, **{name: fields[name] for name in self.kept}}


class StoredPairs(Pairs, StoredExamples):
    """The same of a table that the training process reads from disk itself."""

    table: StoredExamples

    def prefetch(self, index: Tensor) -> None:
        self.table.prefetch(index)


def _interval(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Which of `size` places lie in each interval from `start` [N] of `length` [N]: bool [N, size]."""
    place = torch.arange(size)
    return (start[:, None] <= place) & (place < (start + length)[:, None])


def _luminance(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] to float [N, 1, H, W] in 0..255; grey images are their own."""
    if images.shape[1] == 1:
        return images.float()
    return (images.float() * torch.tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
