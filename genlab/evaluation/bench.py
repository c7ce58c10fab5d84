"""The bench on which runs are measured: real data, the features that pictures are compared by, and what a figure is."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from genlab.config.schema import EvaluationConfig
from genlab.data.loading import Loader
from genlab.data.source import Examples, Source
from genlab.data.spec import Batch
from genlab.data.torchvision_sets import cache_dir
from genlab.evaluation.classes import ClassCounts
from genlab.evaluation.classifier import data_fingerprint
from genlab.evaluation.features import Extractor, make_extractor, read_table
from genlab.evaluation.frechet import Moments
from genlab.sampling.inputs import open_split
from genlab.training import checkpoint

log = logging.getLogger("genlab")

FEATURES_KEPT = 10_000
"""Real features held in memory; means, covariances and counts of classes are of all."""


@dataclass
class Figure:
    """One measured number.

    best: which way is better, None where neither is. spread: standard deviation, over what says `spread_over`.
    details: what else the number depends on, as plain values.
    """

    value: float
    best: Literal["min", "max"] | None = None
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


@dataclass
class Bench:
    """What stays the same while one run after another, or one step after another, is measured.

    title: what the dataset is called; config: the run's, for how its data is loaded; split: the real pictures.
    """

    source: Source
    title: str
    settings: EvaluationConfig
    config: DictConfig
    device: torch.device
    split: str = "validation"

    @cached_property
    def extractor(self) -> Extractor:
        return make_extractor(self.settings.extractor, self.source, device=self.device)

    def classify(self, pictures: Tensor) -> Tensor | None:
        """Probabilities [N, K] of the classes that the extractor knows; None where it knows none."""
        return self.extractor.read(pictures).probabilities

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
        if (known := _read_cache(path)) is not None:
            return known
        (table,) = (table for table in self.source.open(self.split) if name in table.rows(torch.zeros(1).long()))
        real = gather(table, self.extractor, name)
        _write_cache(path, real)
        return real

    def loader(self) -> Loader:
        """Batches of the split, on the device."""
        return open_split(self.config, self.source, self.split, self.device)

    def batches(self, what: str) -> Iterator[Batch]:
        """All batches of the split with a progress bar that says `what` is being measured."""
        loader = self.loader()
        with tqdm(total=loader.size, desc=what, disable=None, leave=False) as bar:
            for batch in loader.in_order():
                yield batch
                bar.update(batch.size)

    def table(self, split: str) -> Examples:
        """The examples of "train" or "validation", of data that is not unpaired."""
        return self.source.open(split)[0]


def gather(table: Examples, extractor: Extractor, field: str) -> Real:
    """Read all pictures of a table, in memory that does not grow with it."""
    count = len(table)
    kept = torch.linspace(0, count - 1, min(count, FEATURES_KEPT)).round().long()
    features, moments, classes, start = [], None, ClassCounts(max(extractor.num_classes, 1)), 0
    for reading in read_table(table, extractor, field=field):
        moments = moments or Moments(reading.features.shape[1])
        moments.update(reading.features)
        if reading.probabilities is not None:
            classes.update(reading.probabilities)
        rows = kept[(kept >= start) & (kept < start + len(reading.features))] - start
        features.append(reading.features[rows.to(reading.features.device)].cpu())
        start += len(reading.features)
    return Real(count, torch.cat(features), moments, classes.counts if extractor.num_classes else torch.empty(0).long())


def _write_cache(path: Path, real: Real) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"count": real.count, "features": real.features, "classes": real.classes}
        checkpoint.save({**state, "moments": real.moments.state_dict()}, path)
    except OSError as error:
        log.warning("features of the real pictures are not kept: %s", error)


def _read_cache(path: Path) -> Real | None:
    """What the cache holds; None where that is nothing, or damaged."""
    if not path.is_file():
        return None
    try:
        state = checkpoint.load(path)
        moments = Moments.from_state(state["moments"])
        return Real(int(state["count"]), state["features"], moments, state["classes"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s; the real pictures are read again", error)
        return None
