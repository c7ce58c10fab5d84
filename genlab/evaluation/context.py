"""The evaluation context: real data, and the features by which images are compared."""

import logging
import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from genlab.contract.data import Batch, Field
from genlab.contract.settings import EvaluationConfig, RunConfig
from genlab.data.cache import cached
from genlab.data.fingerprint import data_fingerprint
from genlab.data.loading import Loader, open_split
from genlab.data.source import Examples, Source
from genlab.evaluation.controls import Checked, choose_extractor
from genlab.evaluation.extractor import Extractor
from genlab.evaluation.features import read_table
from genlab.evaluation.real_images import with_few
from genlab.metrics.classes import ClassCounts
from genlab.metrics.frechet import Moments
from genlab.system import distributed
from genlab.system.progress import followed

T = TypeVar("T")

log = logging.getLogger("genlab")

FEATURES_KEPT = 10_000
"""Real features held in memory. Means, covariances and class counts cover all images."""


@dataclass
class MetricValue:
    """One measured value.

    std: standard deviation over what `std_over` names. details: what else the value depends on, as plain values.
    """

    value: float
    std: float | None = None
    std_over: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class ReferenceStatistics:
    """An extractor's output for the real images.

    count: images read. features: float32 [min(count, FEATURES_KEPT), D], of evenly spaced images. moments: of all of
    them. classes: int64 [K] counts of the predicted classes, empty if the extractor has none.
    """

    count: int
    features: Tensor
    moments: Moments
    classes: Tensor

    def to_table(self) -> dict[str, Tensor]:
        """As tensors by name, for the cache."""
        moments = {f"moments_{name}": value for name, value in self.moments.state_dict().items()}
        return {"count": torch.tensor(self.count), "features": self.features, "classes": self.classes, **moments}

    @classmethod
    def from_table(cls, table: dict[str, Tensor]) -> "ReferenceStatistics":
        """Inverse of `to_table`."""
        moments = {name.removeprefix("moments_"): value for name, value in table.items() if name.startswith("moments_")}
        return cls(int(table["count"]), table["features"], Moments.from_state(moments), table["classes"])


@dataclass
class EvaluationContext:
    """What evaluations of several runs, or of several steps of one run, have in common.

    title: name of the dataset. config: the run's, for how its data is loaded. split: the real images.
    own: whether the run was trained on this dataset. progress: whether stages and their progress are shown.
    num_images: most real images to measure with, evenly spaced; None for all. quick: for a first answer, see `choose`
    and `choose_extractor`.
    """

    source: Source
    title: str
    settings: EvaluationConfig
    config: RunConfig
    device: torch.device
    split: str = "validation"
    own: bool = True
    progress: bool = True
    num_images: int | None = None
    quick: bool = False

    def __post_init__(self):
        self.whole = self.source = copy(self.source)
        self.source.open = cache(self.source.open)  # type: ignore[method-assign]  # once for all metrics
        if self.num_images is not None:
            self.source = with_few(self.whole, self.split, self.num_images)

    @property
    def protocol(self) -> dict[str, str]:
        """Which data are measured."""
        names = {"dataset": self.title, **self.whole.protocol, "split": self.split}
        return {**names, "data_sha256": self.fingerprint}

    @cached_property
    def checked(self) -> Checked:
        """The extractor, and what its controls say of it."""
        return choose_extractor(self.settings.extractor, self.whole, self.device, quick=self.quick)

    @property
    def extractor(self) -> Extractor:
        return self.checked.extractor

    @cached_property
    def num_features(self) -> int:
        """Number of features of an example."""
        return self.extractor(torch.zeros(1, *self.source.spec[self.source.spec.domains[0]].shape)).shape[1]

    def classify(self, images: Tensor) -> Tensor | None:
        """Probabilities [N, K] of the dataset's labels; None if the extractor does not predict them."""
        return self.extractor.read(images).probabilities if self.extractor.reads_labels else None

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the split's data."""
        return data_fingerprint(self.source, self.split)

    @cached_property
    def real(self) -> ReferenceStatistics:
        """Statistics of the split's images; cached."""
        return self.read_field("x")

    def read_field(self, name: str) -> ReferenceStatistics:
        """Statistics of one field of the split: "x", or a domain of a translation. Cached."""
        request = {
            "features": self.fingerprint,
            "extractor": self.extractor.identity,
            "field": name,
            "kept": FEATURES_KEPT,
        }

        def read() -> dict[str, Tensor]:
            (table,) = (table for table in self.source.open(self.split) if name in table.rows(torch.zeros(1).long()))
            return gather(table, self.extractor, self.source.spec[name], name, self.progress).to_table()

        return ReferenceStatistics.from_table(cached(request, [], read))

    @cached_property
    def loader(self) -> Loader:
        """Batches of the split, on the device."""
        return open_split(self.source, self.split, self.config.loader, seed=self.config.seed, device=self.device)

    def tell(self, stage: int, stages: int, what: str) -> None:
        """Say which of the stages of an evaluation begins."""
        if self.progress:
            log.info("%-10s %s", f"{stage}/{stages}", what)

    def over_batches(self, what: str, work: Callable[[int, Batch], T], training: bool = False) -> Iterator[T]:
        """Results of `work(number, batch)` for each batch of the split, in order, with a progress bar labelled `what`.

        Results must be on the CPU and not None. The processes of a run share the batches, and each gets all results.
        training: of all training examples instead.
        """
        loader = self.loader
        if training:
            loader = open_split(self.whole, "train", self.config.loader, seed=self.config.seed, device=self.device)
        count = math.ceil(loader.size / loader.rows)
        numbers = distributed.shard(range(count))
        own = map(work, numbers, loader.in_order(shared=True))
        yield from followed(distributed.gather_in_order(own), what, count, self.progress)

    def table(self, split: str) -> Examples:
        """All examples of "train" or "validation", for data with a single table (not unpaired)."""
        return self.whole.open(split)[0]


def gather(
    table: Examples, extractor: Extractor, field: Field, name: str, progress: bool = True
) -> ReferenceStatistics:
    """Read the field `name` of all rows of a table, in memory that does not grow with their number."""
    count = len(table)
    kept = torch.linspace(0, count - 1, min(count, FEATURES_KEPT)).round().long()
    features, classes, start = [], ClassCounts(max(extractor.num_classes, 1)), 0
    moments: Moments | None = None
    for reading in read_table(table, extractor, field, name=name, shown=progress):
        moments = moments or Moments(reading.features.shape[1])
        moments.update(reading.features)
        if extractor.num_classes:
            classes.update(reading.probabilities)
        rows = kept[(kept >= start) & (kept < start + len(reading.features))] - start
        features.append(reading.features[rows.to(reading.features.device)].cpu())
        start += len(reading.features)
    assert moments, "a table holds at least one image"
    return ReferenceStatistics(
        count, torch.cat(features), moments, classes.counts if extractor.num_classes else torch.empty(0).long()
    )
