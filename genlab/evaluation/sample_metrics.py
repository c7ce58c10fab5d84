"""Metrics of samples, updated batch by batch in a single pass over the samples.

Each class computes the metrics of one key in `SAMPLE_METRICS`. The mathematics is in the modules it imports.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.features import Pixels, Reading, read_table
from genlab.inference.run import Run
from genlab.metrics.classes import ClassCounts, entropy
from genlab.metrics.frechet import Moments, frechet_distance
from genlab.metrics.inception_score import InceptionScore
from genlab.metrics.kernel import BLOCK, KernelDistance, gaussian_mmd
from genlab.metrics.manifold import manifold_metrics
from genlab.metrics.neighbours import data_copying, nearest
from genlab.metrics.sliced_wasserstein import sliced_wasserstein
from genlab.system.seeding import mix

COMPARED = 5_000
"""Maximum number of features per side, for metrics that compare all pairs."""

_DIRECTIONS = 500
_COPYING_SAMPLES = 1_000


@dataclass
class SampleBatch:
    """A batch of samples: images [n, C, H, W], the labels requested [n] or None, and the extractor's reading (empty if
    no metric needs it)."""

    images: Tensor
    labels: Tensor | None
    reading: Reading


class SampleMetric(ABC):
    """One metric, or several that share their computation. Memory does not grow with the number of samples.

    `genlab.metrics.catalogue` lists what it returns and needs.
    """

    def __init__(self, context: EvaluationContext, num_samples: int, seed: int):
        self.context, self.num_samples, self.seed = context, num_samples, seed

    @abstractmethod
    def update(self, drawn: SampleBatch) -> None:
        """Add a batch."""

    @abstractmethod
    def result(self) -> dict[str, MetricValue]:
        """Values by name, once all samples have been added."""


class Frechet(SampleMetric):
    """frechet_distance: between Gaussians fitted to the features of all samples and of all real images."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.moments = Moments(len(self.context.real.moments.mean))

    def update(self, drawn: SampleBatch) -> None:
        self.moments.update(drawn.reading.features)

    def result(self) -> dict[str, MetricValue]:
        real = self.context.real
        distance = frechet_distance(self.moments, real.moments)
        return {"frechet_distance": MetricValue(distance, details={"real_images": real.count})}


class Kernel(SampleMetric):
    """kernel_distance: squared maximum mean discrepancy with a cubic kernel, in blocks (KID)."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        real = self.context.real.features
        self.distance = KernelDistance(real, min(BLOCK, len(real), self.num_samples), self.seed)

    def update(self, drawn: SampleBatch) -> None:
        self.distance.update(drawn.reading.features)

    def result(self) -> dict[str, MetricValue]:
        found = self.distance.result()
        mean, std = found.pop("mean"), found.pop("std")
        return {"kernel_distance": MetricValue(mean, std, "blocks", found)}


class InceptionScoreMetric(SampleMetric):
    """inception_score: exp of the mean KL divergence of a sample's class probabilities from those of all samples."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.score = InceptionScore(self.context.extractor.num_classes, self.num_samples, min(10, self.num_samples))

    def update(self, drawn: SampleBatch) -> None:
        self.score.update(drawn.reading.probabilities)

    def result(self) -> dict[str, MetricValue]:
        found = self.score.result()
        return {"inception_score": MetricValue(found["mean"], found["std"], "splits", {"splits": found["splits"]})}


class Classes(SampleMetric):
    """Which classes samples show, how evenly and how confidently, and whether they are the requested ones.

    `agreement` is left out if no labels were requested, or if the extractor's classes are not the dataset's labels.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counts = ClassCounts(self.context.extractor.num_classes)

    def update(self, drawn: SampleBatch) -> None:
        asked = drawn.labels if self.context.extractor.reads_labels else None
        self.counts.update(drawn.reading.probabilities, asked)

    def result(self) -> dict[str, MetricValue]:
        found, real = self.counts.result(), self.context.real.classes
        covered = {"of": found["classes"], "least_share": found["least_share"], "shares": found["shares"]}
        values = {
            "classes_covered": MetricValue(found["classes_covered"], details=covered),
            "class_entropy": MetricValue(found["entropy"], details={"unit": "nats", "real": entropy(real)}),
            "certainty": MetricValue(found["certainty"]),
        }
        if "agreement" in found:
            values["agreement"] = MetricValue(found["agreement"])
        return values


class PairwiseMetric(SampleMetric):
    """Base of metrics that compare samples and real images pairwise: the first samples, and as many real images."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.most = min(COMPARED, self.num_samples, len(self.context.real.features))
        self.kept: list[Tensor] = []
        self.count = 0

    def update(self, drawn: SampleBatch) -> None:
        if self.count < self.most:  # even an empty slice would keep the whole batch in memory
            part = drawn.reading.features[: self.most - self.count].cpu().clone()
            self.kept.append(part)
            self.count += len(part)

    @property
    def samples(self) -> Tensor:
        return torch.cat(self.kept)

    @property
    def real(self) -> Tensor:
        """As many real features [n, D], evenly spaced over the split."""
        features = self.context.real.features
        return features[torch.linspace(0, len(features) - 1, self.most).round().long()]


class Manifold(PairwiseMetric):
    """precision, recall (k = 3), density, coverage (k = 5)."""

    def result(self) -> dict[str, MetricValue]:
        found = manifold_metrics(self.samples, self.real)
        names = ("precision", "recall", "density", "coverage")
        details = {key: value for key, value in found.items() if key not in names}
        return {name: MetricValue(found[name], details=details) for name in names}


class GaussianMMD(PairwiseMetric):
    """mmd: squared maximum mean discrepancy with a Gaussian kernel."""

    def result(self) -> dict[str, MetricValue]:
        found = gaussian_mmd(self.samples, self.real)
        value = found.pop("mmd_squared")
        return {"mmd": MetricValue(value, details={**found, "samples": self.count, "real": len(self.real)})}


class SlicedWasserstein(PairwiseMetric):
    """sliced_wasserstein: mean 1-Wasserstein distance along random directions in feature space."""

    def result(self) -> dict[str, MetricValue]:
        generator = torch.Generator().manual_seed(mix(self.seed, 1))
        directions = torch.randn(_DIRECTIONS, self.real.shape[1], generator=generator)
        distance = sliced_wasserstein(self.samples, self.real, directions).item()
        details = {"directions": _DIRECTIONS, "samples": self.count, "real": len(self.real)}
        return {"sliced_wasserstein": MetricValue(distance, details=details)}


class DataCopying(SampleMetric):
    """copying_gap, closer_than_held_out: are samples closer to training images than held-out images are, in pixels?

    An extractor trained on the training images would bias the distances, so pixels are compared.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pixels = Pixels()
        self.kept: list[Tensor] = []
        self.count = 0

    def update(self, drawn: SampleBatch) -> None:
        if self.count < _COPYING_SAMPLES:
            part = self.pixels(drawn.images[: _COPYING_SAMPLES - self.count]).cpu().clone()
            self.kept.append(part)
            self.count += len(part)

    def result(self) -> dict[str, MetricValue]:
        held_out = self.context.table("validation")
        rows = torch.linspace(0, len(held_out) - 1, min(self.count, len(held_out))).round().long()
        reading = [part.features for part in read_table(held_out, self.pixels, rows, progress=self.context.progress)]
        points = torch.cat([*self.kept, *reading])
        distances = nearest(points, training_pixels(self.context, self.pixels)).distances[:, 0]
        found = data_copying(distances[: self.count], distances[self.count :])
        details = {"space": self.pixels.description, "samples": self.count, "held_out_images": len(rows)}
        details |= {"training_images": len(self.context.table("train"))}
        details |= {key: found[key] for key in ("sample_distance", "held_out_distance")}
        return {
            "copying_gap": MetricValue(found["gap"], details=details),
            "closer_than_held_out": MetricValue(found["closer_than_held_out"], details=details),
        }


def training_pixels(context: EvaluationContext, pixels: Pixels) -> Iterator[Tensor]:
    """All training images of the context's data as points in pixel space, 2,000 at a time."""
    for reading in read_table(context.table("train"), pixels, chunk=2_000, progress=context.progress):
        yield reading.features


def nearest_images(run: Run, context: EvaluationContext, seed: int) -> Tensor:
    """Samples, each above its three nearest training images in pixel space: [1 + 3, nearest, C, H, W]."""
    pixels, table = Pixels(), context.table("train")
    samples = run.sample(context.settings.nearest, seed)
    rows = nearest(pixels(samples), training_pixels(context, pixels), neighbours=min(3, len(table))).rows
    found = table.rows(rows.T.flatten())["image"].float() / 255
    return torch.cat([samples[None], found.unflatten(0, (-1, len(samples)))])


SAMPLE_METRICS: dict[str, type[SampleMetric]] = {
    "frechet": Frechet,
    "kernel": Kernel,
    "inception_score": InceptionScoreMetric,
    "manifold": Manifold,
    "mmd": GaussianMMD,
    "sliced_wasserstein": SlicedWasserstein,
    "classes": Classes,
    "copies": DataCopying,
}
