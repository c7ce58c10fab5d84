"""Binary images made of grey ones. Likelihoods of static and of dynamic images are two benchmarks, about 2 nats apart.

Reference: Salakhutdinov and Murray 2008, On the Quantitative Analysis of Deep Belief Networks (ICML): a pixel is 1 with
its grey value as probability.
"""

from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from genlab.contract.data import Batch
from genlab.data.source import SPLITS, Examples, Redrawn, Source, StoredExamples
from genlab.media.kinds import kind_of
from genlab.system.seeding import mix

_SLICE = 2**22  # pixels drawn at once


class Binarized(Source):
    """The images x of `source`, with pixels of 0 and 1; other fields are kept.

    how: "static": every pixel drawn once, by `seed`. "dynamic": those of training batches are drawn anew each time, by
    the noise of the batch; all others once. "threshold": 1 from half the range on.
    """

    def __init__(self, source: Source, how: str, seed: int = 0):
        self.source, self.how, self.seed = source, how, seed
        field = source.spec.fields.get("x")
        if field is None or not kind_of(field).levels:
            found = f"{field.kind}" if field else "a and b"
            raise ValueError(
                f"dataset.binarize={how}: needs a dataset of images x, and this one holds {found}; leave it out"
            )
        self.spec = replace(source.spec, fields={**source.spec.fields, "x": replace(field, levels=2)})
        self.sizes, self.notes, self.categorical_factors = source.sizes, source.notes, source.categorical_factors
        self.protocol = {"binarize": how, **source.protocol}  # binary images stay as they are
        if how == "dynamic":
            self.redrawn = Redrawn(source, draw)

    def open(self, split: str) -> list[Examples]:
        (table,) = self.source.open(split)
        kind = StoredBinary if isinstance(table, StoredExamples) else Binary
        return [kind(table, None if self.how == "threshold" else mix(self.seed, SPLITS.index(split)))]


def draw(batch: Batch) -> None:
    """Draw the pixels of x, images [N, C, H, W] in [0, 1], in place."""
    x = batch["x"]
    batch.fields["x"] = (batch.rand(*x.shape[1:]) < x).to(x.dtype)


class Binary(Examples):
    """A table of images, uint8 of 0 and 255. seed: of the pixels; None compares them with half the range."""

    def __init__(self, table: Examples, seed: int | None):
        self.table, self.seed, self.nbytes = table, seed, table.nbytes

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return self._binary(self.table.rows(index), index)

    def load(self) -> dict[str, Tensor]:
        return self._binary(self.table.load(), torch.arange(len(self)))

    def _binary(self, fields: dict[str, Tensor], index: Tensor) -> dict[str, Tensor]:
        grey = fields["x"]
        if self.seed is None:
            return {**fields, "x": (grey > 127).byte() * 255}
        images = torch.empty_like(grey)
        rows = max(1, _SLICE // prod(grey.shape[1:]))
        for part, numbers, target in zip(grey.split(rows), index.split(rows), images.split(rows), strict=True):
            target[:] = (_noise(self.seed, numbers, part.shape[1:]) < part).byte() * 255
        return {**fields, "x": images}


class StoredBinary(Binary, StoredExamples):
    """The same of a table that the training process reads from disk itself."""

    table: StoredExamples

    def prefetch(self, index: Tensor) -> None:
        self.table.prefetch(index)


def _noise(seed: int, index: Tensor, shape: torch.Size) -> Tensor:
    """Uniform int64 [N, *shape] in 0..254, a function of the seed, an example's place and a pixel's place.

    An example's pixels must not depend on which others are read with it, so there is no generator to draw from.
    """
    state = (index[:, None] * prod(shape) + torch.arange(prod(shape))) ^ seed
    for factor in (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15):  # splitmix64's, as signed numbers
        state = (state ^ (state >> 27)) * factor
    return ((state ^ (state >> 31)) >> 20).remainder(255).unflatten(1, shape)
