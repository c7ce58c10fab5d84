"""Metrics of samples, side by side in one pass: each takes portions of samples as they are drawn.

A metric is a class with the keys by which users ask for it; the mathematics stands in the files that it imports.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genlab.evaluation.bench import Bench, Figure
from genlab.evaluation.classes import ClassCounts, entropy
from genlab.evaluation.features import Pixels, Reading, read_table
from genlab.evaluation.frechet import Moments, frechet_distance
from genlab.evaluation.inception_score import InceptionScore
from genlab.evaluation.kernel import KernelDistance, gaussian_mmd
from genlab.evaluation.manifold import manifold_metrics
from genlab.evaluation.neighbours import nearest, overfitting_gap
from genlab.evaluation.sliced_wasserstein import sliced_wasserstein
from genlab.sampling.load import Run
from genlab.seeding import mix

COMPARED = 5_000
"""Most features of either side for metrics that compare every pair."""

_BLOCK = 1_000
_DIRECTIONS = 500
_COPIES_LOOKED_FOR = 1_000


@dataclass
class Drawn:
    """A portion of samples: pictures [n, C, H, W], the labels asked for [n] or None, and what the extractor reads."""

    pictures: Tensor
    labels: Tensor | None
    reading: Reading | None


class SampleMetric(ABC):
    """One metric, or several that share their work. Memory does not grow with the number of samples.

    reads: whether it needs the extractor; reads_classes: whether that must know classes.
    labelled: whether the model must take labels.
    """

    reads: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = False
    labelled: ClassVar[bool] = False

    def __init__(self, bench: Bench, num_samples: int, seed: int):
        self.bench, self.num_samples, self.seed = bench, num_samples, seed

    @abstractmethod
    def update(self, drawn: Drawn) -> None:
        """Take in a portion."""

    @abstractmethod
    def result(self) -> dict[str, Figure]:
        """Figures by name, once all is drawn."""


class Frechet(SampleMetric):
    """frechet_distance: between Gaussians fitted to the features of all samples and of all real pictures."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.moments = Moments(len(self.bench.real.moments.mean))

    def update(self, drawn: Drawn) -> None:
        self.moments.update(drawn.reading.features)

    def result(self) -> dict[str, Figure]:
        real = self.bench.real
        distance = frechet_distance(self.moments, real.moments)
        return {"frechet_distance": Figure(distance, "min", details={"real_pictures": real.count})}


class Kernel(SampleMetric):
    """kernel_distance: squared maximum mean discrepancy under the cubic kernel, in blocks (KID)."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        real = self.bench.real.features
        self.distance = KernelDistance(real, min(_BLOCK, len(real), self.num_samples), self.seed)

    def update(self, drawn: Drawn) -> None:
        self.distance.update(drawn.reading.features)

    def result(self) -> dict[str, Figure]:
        found = self.distance.result()
        mean, spread = found.pop("mean"), found.pop("spread")
        details = {**found, "real_pictures": len(self.bench.real.features)}
        return {"kernel_distance": Figure(mean, "min", spread, "blocks", details)}


class Score(SampleMetric):
    """inception_score: exp of the mean divergence of a sample's classes from all samples' classes."""

    reads_classes = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.score = InceptionScore(self.bench.extractor.num_classes, min(10, self.num_samples))

    def update(self, drawn: Drawn) -> None:
        self.score.update(drawn.reading.probabilities)

    def result(self) -> dict[str, Figure]:
        found = self.score.result()
        return {"inception_score": Figure(found["mean"], "max", found["spread"], "splits", {"splits": found["splits"]})}


class Classes(SampleMetric):
    """What classes samples show, how evenly and how clearly, and whether they are those asked for."""

    reads_classes = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counts = ClassCounts(self.bench.extractor.num_classes)

    def update(self, drawn: Drawn) -> None:
        self.counts.update(drawn.reading.probabilities, drawn.labels)

    def result(self) -> dict[str, Figure]:
        found, real = self.counts.result(), self.bench.real.classes
        covered = {"of": found["classes"], "least_share": found["least_share"], "shares": found["shares"]}
        figures = {
            "classes_covered": Figure(found["classes_covered"], "max", details=covered),
            "class_entropy": Figure(found["entropy"], None, details={"unit": "nats", "real": entropy(real)}),
            "certainty": Figure(found["certainty"], "max"),
        }
        if "agreement" in found:
            figures["agreement"] = Figure(found["agreement"], "max")
        return figures


class Compared(SampleMetric):
    """Base of metrics that hold the first samples against as many real pictures at most, pair by pair."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept: list[Tensor] = []
        self.count = 0

    def update(self, drawn: Drawn) -> None:
        part = self.keep(drawn)[: self.most - self.count]
        if len(part):
            self.kept.append(part.cpu().float())
            self.count += len(part)

    most: int = COMPARED

    def keep(self, drawn: Drawn) -> Tensor:
        """What is kept of a portion, [n, D]."""
        return drawn.reading.features

    @property
    def samples(self) -> Tensor:
        return torch.cat(self.kept)

    @property
    def real(self) -> Tensor:
        """Real features [m, D], evenly spread over the split."""
        features = self.bench.real.features
        return features[torch.linspace(0, len(features) - 1, min(self.most, len(features))).round().long()]


class Manifold(Compared):
    """precision, recall (k = 3), density, coverage (k = 5)."""

    def result(self) -> dict[str, Figure]:
        found = manifold_metrics(self.samples, self.real)
        names = ("precision", "recall", "density", "coverage")
        details = {key: value for key, value in found.items() if key not in names}
        return {name: Figure(found[name], "max", details=details) for name in names}


class Discrepancy(Compared):
    """mmd: squared maximum mean discrepancy under a Gaussian kernel."""

    def result(self) -> dict[str, Figure]:
        found = gaussian_mmd(self.samples, self.real)
        value = found.pop("mmd_squared")
        return {"mmd": Figure(value, "min", details={**found, "samples": self.count, "real": len(self.real)})}


class SlicedWasserstein(Compared):
    """sliced_wasserstein: mean 1-Wasserstein distance along random directions through feature space."""

    def result(self) -> dict[str, Figure]:
        count = min(self.count, len(self.real))
        generator = torch.Generator().manual_seed(mix(self.seed, 1))
        directions = torch.randn(_DIRECTIONS, self.real.shape[1], generator=generator)
        spread_over_real = self.real[torch.linspace(0, len(self.real) - 1, count).round().long()]
        distance = sliced_wasserstein(self.samples[:count], spread_over_real, directions).item()
        details = {"directions": _DIRECTIONS, "samples": count, "real": count}
        return {"sliced_wasserstein": Figure(distance, "min", details=details)}


class Copies(Compared):
    """overfitting_gap, closer_to_train: do samples lie nearer to training pictures than to held-out ones, in pixels?

    An extractor that learnt from the training pictures would see them with other eyes, so none is asked.
    """

    reads = False
    most = _COPIES_LOOKED_FOR

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pixels = Pixels()

    def keep(self, drawn: Drawn) -> Tensor:
        return self.pixels(drawn.pictures)

    def result(self) -> dict[str, Figure]:
        tables = [self.bench.table(split) for split in ("train", "validation")]
        count = min(COMPARED, *map(len, tables))
        train, held_out = (self._pixels(table, count) for table in tables)
        found = overfitting_gap(self.samples, train, held_out)
        details = {"space": self.pixels.description, "samples": found["samples"], "examples": found["examples"]}
        details |= {key: found[key] for key in ("train_distance", "held_out_distance")}
        return {
            "overfitting_gap": Figure(found["gap"], "min", details=details),
            "closer_to_train": Figure(found["closer_to_train"], None, details=details),
        }

    def _pixels(self, table, count: int) -> Tensor:
        rows = torch.linspace(0, len(table) - 1, count).round().long()
        return torch.cat([reading.features for reading in read_table(table, self.pixels, rows)])


def nearest_pictures(run: Run, bench: Bench, seed: int) -> Tensor:
    """Samples, each above its three nearest training pictures in pixel space: [4, settings.nearest, C, H, W]."""
    pixels, table = Pixels(), bench.table("train")
    samples = run.sample(bench.settings.nearest, seed)
    chunks = (reading.features for reading in read_table(table, pixels, chunk=2_000))
    rows = nearest(pixels(samples), chunks, neighbours=3).index
    found = table.rows(rows.T.flatten())["image"].float() / 255
    return torch.cat([samples[None], found.unflatten(0, (3, len(samples)))])


SAMPLE_METRICS: dict[str, type[SampleMetric]] = {
    "frechet": Frechet,
    "kernel": Kernel,
    "inception_score": Score,
    "manifold": Manifold,
    "mmd": Discrepancy,
    "sliced_wasserstein": SlicedWasserstein,
    "classes": Classes,
    "copies": Copies,
}
