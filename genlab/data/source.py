"""The dataset interface: `Source` describes a dataset before any data is read, `Examples` reads it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genlab.contract.data import Batch, DataSpec

SPLITS = ("train", "validation")


class Examples(ABC):
    """A table of examples with random access: images uint8 [N, C, H, W], points float32 [N, D], labels int64 [N].

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
    """Examples stored on disk without encoding: when streaming, the training process itself calls `rows`."""

    @abstractmethod
    def prefetch(self, index: Tensor) -> None:
        """Start fetching the examples at `index` (int64 [n]) from disk; they will be read soon."""


class ArrayExamples(Examples):
    """Examples held as tensors."""

    def __init__(self, **fields: Tensor):
        self.fields = fields
        self.nbytes = sum(value.nbytes for value in fields.values())

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return {name: value[index] for name, value in self.fields.items()}

    def load(self) -> dict[str, Tensor]:
        return self.fields


class Modes(NamedTuple):
    """The modes of a mixture of isotropic Gaussians.

    centres: [M, D]. deviation: standard deviation of each mode along each axis, [M].
    """

    centres: Tensor
    deviation: Tensor


class Redrawn(NamedTuple):
    """source: its tables hold what training batches are drawn from. draw: changes a batch in place, by its noise."""

    source: "Source"
    draw: Callable[[Batch], None]


class Source(ABC):
    """One configured dataset. The constructor raises `ValueError` on bad settings, from headers and listings alone.

    spec: contents of a batch.
    sizes: number of examples by split; for unpaired domains, of the larger domain.
    notes: lines on the user's data that a run tells, such as files that were left out.
    labels_hint: the setting that would give labels, where the user's file seems to hold some that are not used.
    settled: settings that were None, by name, with what was found in the data in their place.
    log_density: the exact log p(x) in nats, x [N, *shape] to [N], where the dataset knows it; can be pickled.
    modes: of a mixture, else None.
    channel: labelled images that each channel of an image is one of, else None.
    protocol: what a measurement must name beside the dataset, such as how images were made binary.
    redrawn: where training batches are drawn from and what is then made of each, if that is more than `open("train")`.
    """

    may_provide: ClassVar[frozenset[str]] = frozenset({"x", "label"})
    """What datasets of this class may provide; `spec` says what this one does."""

    kind: ClassVar[str] = "image"
    """Kind of what is modelled, as in `spec`: known before the settings are, so that recipes can follow it."""

    categorical_factors: tuple[int, ...] = ()
    """Columns of the field `factors`, if any, whose values have no order."""

    spec: DataSpec
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()
    labels_hint: str = ""
    settled: Mapping[str, Any] = MappingProxyType({})
    log_density: Callable[[Tensor], Tensor] | None = None
    modes: Modes | None = None
    channel: "Source | None" = None
    protocol: Mapping[str, str] = MappingProxyType({})
    redrawn: "Redrawn | None" = None

    @abstractmethod
    def open(self, split: str) -> list[Examples]:
        """The tables of `split` ("train" or "validation"): one, or one for each domain of unpaired data.

        Each table has its own index stream, so domains may differ in length. Nothing is read, rendered, extracted
        or downloaded before this call.
        """
