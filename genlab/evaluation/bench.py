"""The bench on which runs are measured: real data, the features that pictures are compared by, and what a figure is."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

import torch
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from genlab.config.schema import EvaluationConfig
from genlab.data.cache import cache_dir
from genlab.data.loading import VALIDATION_BATCH, Loader
from genlab.data.source import Examples, Source
from genlab.data.spec import Batch
from genlab.evaluation import cache
from genlab.evaluation.classes import ClassCounts
from genlab.evaluation.classifier import data_fingerprint
from genlab.evaluation.features import Extractor, make_extractor, read_table
from genlab.evaluation.frechet import Moments
from genlab.sampling.inputs import open_split
from genlab.training import distributed

T = TypeVar("T")

Best = Literal["min", "max"] | None
"""Which way of a figure is better; None where neither is."""

FEATURES_KEPT = 10_000
"""Real features held in memory; means, covariances and counts of classes are of all."""


@dataclass
class Figure:
    """One measured number.

    spread: standard deviation, over what says `spread_over`. details: what else the number depends on, as plain values.
    """

    value: float
    spread: float | None = None
    spread_over: str | None = None
    details: dict = field(default_factory=dict)


@dataclass
class Real:
    """What an extractor reads in real pictures.

    count: pictures read; features: float32 [min(count, FEATURES_KEPT), D], evenly spread over them; moments: of all;
    classes: counts int64 [K] of the classes read, empty where the extractor knows none.
    """

    count: int
    features: Tensor
    moments: Moments
    classes: Tensor

    def state_dict(self) -> dict:
        state = {"count": self.count, "features": self.features, "classes": self.classes}
        return {**state, "moments": self.moments.state_dict()}

    @classmethod
    def from_state(cls, state: dict) -> "Real":
        """What `state_dict` gave."""
        moments = Moments.from_state(state["moments"])
        return cls(int(state["count"]), state["features"], moments, state["classes"])


class Opened(Source):
    """A source that reads each split once, however many ask for it."""

    def __init__(self, source: Source):
        self.source, self.spec, self.sizes = source, source.spec, source.sizes
        self.categorical_factors = source.categorical_factors
        self.tables: dict[str, list[Examples]] = {}

    def open(self, split: str) -> list[Examples]:
        if split not in self.tables:
            self.tables[split] = self.source.open(split)
        return self.tables[split]


@dataclass
class Bench:
    """What stays the same while one run after another, or one step after another, is measured.

    title: what the dataset is called; config: the run's, for how its data is loaded; split: the real pictures.
    own: whether the run was trained on this dataset. progress: whether bars are shown.
    """

    source: Source
    title: str
    settings: EvaluationConfig
    config: DictConfig
    device: torch.device
    split: str = "validation"
    own: bool = True
    progress: bool = True

    def __post_init__(self):
        self.source = Opened(self.source)

    @cached_property
    def extractor(self) -> Extractor:
        return make_extractor(self.settings.extractor, self.source, device=self.device)

    def classify(self, pictures: Tensor) -> Tensor | None:
        """Probabilities [N, K] of the dataset's labels; None where the extractor reads others, or none."""
        return self.extractor.read(pictures).probabilities if self.extractor.reads_labels else None

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the split's data."""
        return data_fingerprint(self.source, self.split)

    @cached_property
    def real(self) -> Real:
        """Readings of the split's pictures, from the cache where they were read before."""
        return self.read_field("image")

    def read_field(self, name: str) -> Real:
        """Readings of one field of pictures of the split: "image", or a domain of unpaired data."""
        key = hashlib.sha256(json.dumps([self.fingerprint, self.extractor.identity, name, FEATURES_KEPT]).encode())
        path = cache_dir() / "features" / f"{key.hexdigest()[:32]}.pt"

        def read() -> Real:
            (table,) = (table for table in self.source.open(self.split) if name in table.rows(torch.zeros(1).long()))
            return gather(table, self.extractor, name, self.progress)

        return cache.kept(path, Real.from_state, read, Real.state_dict)

    @cached_property
    def loader(self) -> Loader:
        """Batches of the split, on the device."""
        return open_split(self.config, self.source, self.split, self.device)

    def over_batches(self, what: str, work: Callable[[int, Batch], T]) -> Iterator[T]:
        """What `work(number, batch)` makes of each batch of the split, in order, with a bar that says `what` it is.

        It lies on the CPU and is not None. The processes of a run share the batches, and all get what became of each.
        """
        count = math.ceil(self.loader.size / VALIDATION_BATCH)
        numbers = distributed.share(range(count))
        own = map(work, numbers, self.loader.in_order(shared=True))
        hidden = None if self.progress else True
        yield from tqdm(distributed.merge(own), what, count, disable=hidden, leave=False)

    def table(self, split: str) -> Examples:
        """The examples of "train" or "validation", of data that is not unpaired."""
        return self.source.open(split)[0]


def gather(table: Examples, extractor: Extractor, field: str, progress: bool = True) -> Real:
    """Read all pictures of a table, in memory that does not grow with it."""
    count = len(table)
    kept = torch.linspace(0, count - 1, min(count, FEATURES_KEPT)).round().long()
    features, moments, classes, start = [], None, ClassCounts(max(extractor.num_classes, 1)), 0
    for reading in read_table(table, extractor, field=field, progress=progress):
        moments = moments or Moments(reading.features.shape[1])
        moments.update(reading.features)
        if reading.probabilities is not None:
            classes.update(reading.probabilities)
        rows = kept[(kept >= start) & (kept < start + len(reading.features))] - start
        features.append(reading.features[rows.to(reading.features.device)].cpu())
        start += len(reading.features)
    return Real(count, torch.cat(features), moments, classes.counts if extractor.num_classes else torch.empty(0).long())
