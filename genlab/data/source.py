"""The contract of a dataset: `Source` answers questions about it before anything is read, `Examples` reads it."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import DataSpec

SPLITS = ("train", "validation")


class Examples(ABC):
    """A table of examples with random access. Images are uint8 [N, C, H, W], labels int64 [N].

    nbytes: size of the whole table in memory, which decides between resident and streamed training.
    """

    nbytes: int

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """The examples at `index` (int64 [n]) by field name. Called from loader workers when streaming."""

    def load(self) -> dict[str, Tensor]:
        """The whole table."""
        return self.rows(torch.arange(len(self)))


class StoredExamples(Examples):
    """Examples that lie on the disk as a batch needs them: when streaming, `rows` is called from training itself."""

    @abstractmethod
    def prefetch(self, index: Tensor) -> None:
        """Have the disk begin to fetch the examples at `index` (int64 [n]), as they will be asked for soon."""


class ArrayExamples(Examples):
    """Examples that are tensors already."""

    def __init__(self, **fields: Tensor):
        self.fields = fields
        self.nbytes = sum(value.nbytes for value in fields.values())

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return {name: value[index] for name, value in self.fields.items()}

    def load(self) -> dict[str, Tensor]:
        return self.fields


class Source(ABC):
    """One dataset as asked for. Its constructor refuses a bad request (`ValueError`) from headers and listings alone.

    spec: what a batch will hold.
    sizes: number of examples by split; for unpaired domains that of the larger domain.
    """

    may_provide: ClassVar[frozenset[str]] = frozenset({"image", "label"})
    """Fields that sets of this kind can hold; what the one asked for does hold says `spec`."""

    categorical_factors: ClassVar[tuple[int, ...]] = ()
    """Columns of the field `factors`, where there is one, whose values have no order."""

    spec: DataSpec
    sizes: dict[str, int]

    @abstractmethod
    def open(self, split: str) -> list[Examples]:
        """The tables of `split` ("train" or "validation"): one, or one for each unpaired domain.

        Each table is drawn from by an index stream of its own, so domains may differ in length. This is the
        first place that may read, render, extract or download.
        """
