"""Metrics of samples, side by side in one pass: each takes portions of samples as they are drawn.

A metric is a class with the keys by which users ask for it; the mathematics stands in the files that it imports.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genlab.evaluation.bench import Bench, Best, Figure
from genlab.evaluation.classes import ClassCounts, entropy
from genlab.evaluation.features import Pixels, Reading, read_table
from genlab.evaluation.frechet import Moments, frechet_distance
from genlab.evaluation.inception_score import InceptionScore
from genlab.evaluation.kernel import BLOCK, KernelDistance, gaussian_mmd
from genlab.evaluation.manifold import manifold_metrics
from genlab.evaluation.neighbours import data_copying, nearest
from genlab.evaluation.sliced_wasserstein import sliced_wasserstein
from genlab.sampling.load import Run
from genlab.seeding import mix

COMPARED = 5_000
"""Most features of either side for metrics that compare every pair."""

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

    figures: names of what `result` gives, and which way of each is better.
    reads: whether it needs the extractor; reads_classes: whether that must know classes.
    least_samples, least_real: how many of each it takes.
    """

    figures: ClassVar[dict[str, Best]]
    reads: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = False
    least_samples: ClassVar[int] = 2
    least_real: ClassVar[int] = 2

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

    figures = {"frechet_distance": "min"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.moments = Moments(len(self.bench.real.moments.mean))

    def update(self, drawn: Drawn) -> None:
        self.moments.update(drawn.reading.features)

    def result(self) -> dict[str, Figure]:
        real = self.bench.real
        distance = frechet_distance(self.moments, real.moments)
        return {"frechet_distance": Figure(distance, details={"real_pictures": real.count})}


class Kernel(SampleMetric):
    """kernel_distance: squared maximum mean discrepancy under the cubic kernel, in blocks (KID)."""

    figures = {"kernel_distance": "min"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        real = self.bench.real.features
        self.distance = KernelDistance(real, min(BLOCK, len(real), self.num_samples), self.seed)

    def update(self, drawn: Drawn) -> None:
        self.distance.update(drawn.reading.features)

    def result(self) -> dict[str, Figure]:
        found = self.distance.result()
        mean, spread = found.pop("mean"), found.pop("spread")
        return {"kernel_distance": Figure(mean, spread, "blocks", found)}


class Score(SampleMetric):
    """inception_score: exp of the mean divergence of a sample's classes from all samples' classes."""

    figures = {"inception_score": "max"}
    reads_classes = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.score = InceptionScore(self.bench.extractor.num_classes, self.num_samples, min(10, self.num_samples))

    def update(self, drawn: Drawn) -> None:
        self.score.update(drawn.reading.probabilities)

    def result(self) -> dict[str, Figure]:
        found = self.score.result()
        return {"inception_score": Figure(found["mean"], found["spread"], "splits", {"splits": found["splits"]})}


class Classes(SampleMetric):
    """What classes samples show, how evenly and how clearly, and whether they are those asked for.

    `agreement` is left out where no labels were asked for, or the extractor's classes are not the dataset's labels.
    """

    figures = {"classes_covered": "max", "class_entropy": None, "certainty": "max", "agreement": "max"}
    reads_classes = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counts = ClassCounts(self.bench.extractor.num_classes)

    def update(self, drawn: Drawn) -> None:
        asked = drawn.labels if self.bench.extractor.reads_labels else None
        self.counts.update(drawn.reading.probabilities, asked)

    def result(self) -> dict[str, Figure]:
        found, real = self.counts.result(), self.bench.real.classes
        covered = {"of": found["classes"], "least_share": found["least_share"], "shares": found["shares"]}
        figures = {
            "classes_covered": Figure(found["classes_covered"], details=covered),
            "class_entropy": Figure(found["entropy"], details={"unit": "nats", "real": entropy(real)}),
            "certainty": Figure(found["certainty"]),
        }
        if "agreement" in found:
            figures["agreement"] = Figure(found["agreement"])
        return figures


class Compared(SampleMetric):
    """Base of metrics that hold samples against real pictures pair by pair: the first samples, as many of each."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.most = min(COMPARED, self.num_samples, len(self.bench.real.features))
        self.kept: list[Tensor] = []
        self.count = 0

    def update(self, drawn: Drawn) -> None:
        if self.count < self.most:  # a slice, an empty one too, would keep the whole portion in memory
            part = drawn.reading.features[: self.most - self.count].cpu().clone()
            self.kept.append(part)
            self.count += len(part)

    @property
    def samples(self) -> Tensor:
        return torch.cat(self.kept)

    @property
    def real(self) -> Tensor:
        """As many real features [n, D], evenly spread over the split."""
        features = self.bench.real.features
        return features[torch.linspace(0, len(features) - 1, self.most).round().long()]


class Manifold(Compared):
    """precision, recall (k = 3), density, coverage (k = 5)."""

    figures = {"precision": "max", "recall": "max", "density": "max", "coverage": "max"}
    least_samples = least_real = 6

    def result(self) -> dict[str, Figure]:
        found = manifold_metrics(self.samples, self.real)
        details = {key: value for key, value in found.items() if key not in self.figures}
        return {name: Figure(found[name], details=details) for name in self.figures}


class Discrepancy(Compared):
    """mmd: squared maximum mean discrepancy under a Gaussian kernel."""

    figures = {"mmd": "min"}

    def result(self) -> dict[str, Figure]:
        found = gaussian_mmd(self.samples, self.real)
        value = found.pop("mmd_squared")
        return {"mmd": Figure(value, details={**found, "samples": self.count, "real": len(self.real)})}


class SlicedWasserstein(Compared):
    """sliced_wasserstein: mean 1-Wasserstein distance along random directions through feature space."""

    figures = {"sliced_wasserstein": "min"}

    def result(self) -> dict[str, Figure]:
        generator = torch.Generator().manual_seed(mix(self.seed, 1))
        directions = torch.randn(_DIRECTIONS, self.real.shape[1], generator=generator)
        distance = sliced_wasserstein(self.samples, self.real, directions).item()
        details = {"directions": _DIRECTIONS, "samples": self.count, "real": len(self.real)}
        return {"sliced_wasserstein": Figure(distance, details=details)}


class Copies(SampleMetric):
    """copying_gap, closer_than_held_out: do samples lie nearer to training pictures than held-out ones do, in pixels?

    An extractor that learnt from the training pictures would see them with other eyes, so none is asked.
    """

    figures = {"copying_gap": None, "closer_than_held_out": None}
    reads = False
    least_samples = least_real = 1

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pixels = Pixels()
        self.kept: list[Tensor] = []
        self.count = 0

    def update(self, drawn: Drawn) -> None:
        if self.count < _COPIES_LOOKED_FOR:
            part = self.pixels(drawn.pictures[: _COPIES_LOOKED_FOR - self.count]).cpu().clone()
            self.kept.append(part)
            self.count += len(part)

    def result(self) -> dict[str, Figure]:
        held_out = self.bench.table("validation")
        rows = torch.linspace(0, len(held_out) - 1, min(self.count, len(held_out))).round().long()
        reading = [part.features for part in read_table(held_out, self.pixels, rows, progress=self.bench.progress)]
        points = torch.cat([*self.kept, *reading])
        distances = nearest(points, training_pixels(self.bench, self.pixels)).distances[:, 0]
        found = data_copying(distances[: self.count], distances[self.count :])
        details = {"space": self.pixels.description, "samples": self.count, "held_out_pictures": len(rows)}
        details |= {"training_pictures": len(self.bench.table("train"))}
        details |= {key: found[key] for key in ("sample_distance", "held_out_distance")}
        return {
            "copying_gap": Figure(found["gap"], details=details),
            "closer_than_held_out": Figure(found["closer_than_held_out"], details=details),
        }


def training_pixels(bench: Bench, pixels: Pixels) -> Iterator[Tensor]:
    """All training pictures of the bench's data as points in pixel space, some thousand at a time."""
    for reading in read_table(bench.table("train"), pixels, chunk=2_000, progress=bench.progress):
        yield reading.features


def nearest_pictures(run: Run, bench: Bench, seed: int) -> Tensor:
    """Samples, each above its three nearest training pictures in pixel space: [1 + 3, nearest, C, H, W]."""
    pixels, table = Pixels(), bench.table("train")
    samples = run.sample(bench.settings.nearest, seed)
    rows = nearest(pixels(samples), training_pixels(bench, pixels), neighbours=min(3, len(table))).index
    found = table.rows(rows.T.flatten())["image"].float() / 255
    return torch.cat([samples[None], found.unflatten(0, (-1, len(samples)))])


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
