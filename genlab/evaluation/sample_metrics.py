"""Metrics of samples, updated batch by batch in a single pass over the samples.

Each key of `SAMPLE_METRICS` makes one of them. The mathematics is in the modules imported here.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from genlab.data.loading import as_examples
from genlab.evaluation.channel_modes import channel_modes
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.extractor import Extractor
from genlab.evaluation.features import Pixels, Values, read_table
from genlab.evaluation.point_metrics import modes, wasserstein
from genlab.evaluation.samples import FirstPoints, SampleBatch, SampleMetric
from genlab.evaluation.translation_metrics import mind
from genlab.inference.run import Run
from genlab.media.kinds import shown_kind
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


def frechet(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """frechet_distance: between Gaussians fitted to the features of all samples and of all real images."""
    real = context.real
    moments = Moments(len(real.moments.mean))

    def result() -> dict[str, MetricValue]:
        distance = frechet_distance(moments, real.moments)
        return {"frechet_distance": MetricValue(distance, details={"real_images": real.count})}

    return SampleMetric(lambda drawn: moments.update(drawn.reading.features), result)


def kernel(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """kernel_distance: squared maximum mean discrepancy with a cubic kernel, in blocks (KID)."""
    real = context.real.features
    distance = KernelDistance(real, min(BLOCK, len(real), num_samples), seed)

    def result() -> dict[str, MetricValue]:
        found = distance.result()
        return {"kernel_distance": MetricValue(found.pop("mean"), found.pop("std"), "blocks", found)}

    return SampleMetric(lambda drawn: distance.update(drawn.reading.features), result)


def inception_score(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """inception_score: exp of the mean KL divergence of a sample's class probabilities from those of all samples."""
    score = InceptionScore(context.extractor.num_classes, num_samples, min(10, num_samples))

    def result() -> dict[str, MetricValue]:
        found = score.result()
        return {"inception_score": MetricValue(found["mean"], found["std"], "splits", {"splits": found["splits"]})}

    return SampleMetric(lambda drawn: score.update(drawn.reading.probabilities), result)


def classes(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """Which classes samples show, how evenly and how confidently, and whether they are the requested ones.

    `agreement` is left out if no labels were requested, or if the extractor's classes are not the dataset's labels.
    """
    counts = ClassCounts(context.extractor.num_classes)

    def update(drawn: SampleBatch) -> None:
        asked = drawn.labels if context.extractor.reads_labels else None
        counts.update(drawn.reading.probabilities, asked)

    def result() -> dict[str, MetricValue]:
        found, real = counts.result(), context.real.classes
        covered = {"of": found["classes"], "least_share": found["least_share"], "shares": found["shares"]}
        values = {
            "classes_covered": MetricValue(found["classes_covered"], details=covered),
            "class_entropy": MetricValue(found["entropy"], details={"unit": "nats", "real": entropy(real)}),
            "certainty": MetricValue(found["certainty"]),
        }
        if "agreement" in found:
            values["agreement"] = MetricValue(found["agreement"])
        return values

    return SampleMetric(update, result)


def pairwise(compare: Callable[[Tensor, Tensor, int], dict[str, MetricValue]]) -> Callable[..., SampleMetric]:
    """A metric that compares samples and real images pairwise: the first samples, and as many real images.

    compare: maps the features [n, D] of both and the seed to values by name.
    """

    def metric(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
        features = context.real.features
        first = FirstPoints(min(COMPARED, num_samples, len(features)))

        def result() -> dict[str, MetricValue]:
            samples = torch.cat(first.kept)
            real = features[torch.linspace(0, len(features) - 1, len(samples)).round().long()]  # over the whole split
            return compare(samples, real, seed)

        return SampleMetric(lambda drawn: first.update(drawn.reading.features), result, first.kept)

    return metric


def _manifold(samples: Tensor, real: Tensor, seed: int) -> dict[str, MetricValue]:
    found = manifold_metrics(samples, real)
    names = ("precision", "recall", "density", "coverage")
    details = {key: value for key, value in found.items() if key not in names}
    return {name: MetricValue(found[name], details=details) for name in names}


def _gaussian_mmd(samples: Tensor, real: Tensor, seed: int) -> dict[str, MetricValue]:
    found = gaussian_mmd(samples, real)
    value = found.pop("mmd_squared")
    return {"mmd": MetricValue(value, details={**found, "samples": len(samples), "real": len(real)})}


def _mind(samples: Tensor, real: Tensor, seed: int) -> dict[str, MetricValue]:
    return {"mind": mind(samples, real, seed)}


def _sliced_wasserstein(samples: Tensor, real: Tensor, seed: int) -> dict[str, MetricValue]:
    generator = torch.Generator().manual_seed(mix(seed, 1))
    directions = torch.randn(_DIRECTIONS, real.shape[1], generator=generator)
    distance = sliced_wasserstein(samples, real, directions).item()
    details = {"directions": _DIRECTIONS, "samples": len(samples), "real": len(real)}
    return {"sliced_wasserstein": MetricValue(distance, details=details)}


def copies(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """copying_gap, closer_than_held_out: are samples closer to training images than held-out images are, in pixels?

    An extractor trained on the training images would bias the distances, so pixels are compared.
    """
    pixels, first = raw(context), FirstPoints(_COPYING_SAMPLES)

    def update(drawn: SampleBatch) -> None:
        if first.missing:
            first.update(pixels(drawn.images[: first.missing]))

    def result() -> dict[str, MetricValue]:
        samples, held_out = torch.cat(first.kept), context.table("validation")
        rows = torch.linspace(0, len(held_out) - 1, min(len(samples), len(held_out))).round().long()
        reading = read_table(held_out, pixels, context.source.spec["x"], rows, shown=context.progress)
        points = torch.cat([samples, *(part.features for part in reading)])
        distances = nearest(points, training_pixels(context, pixels)).distances[:, 0]
        found = data_copying(distances[: len(samples)], distances[len(samples) :])
        details = {"space": pixels.description, "samples": len(samples), "held_out_images": len(rows)}
        details |= {"training_images": len(context.table("train"))}
        details |= {key: found[key] for key in ("sample_distance", "held_out_distance")}
        return {
            "copying_gap": MetricValue(found["gap"], details=details),
            "closer_than_held_out": MetricValue(found["closer_than_held_out"], details=details),
        }

    return SampleMetric(update, result, first.kept)


def raw(context: EvaluationContext) -> Extractor:
    """The extractor that learns nothing: pixels, or the entries of points."""
    return Pixels() if shown_kind(context.source.spec).levels else Values()


def training_pixels(context: EvaluationContext, pixels: Extractor) -> Iterator[Tensor]:
    """All training examples of the context's data as points in pixel space, at most 2,000 at a time."""
    field = context.source.spec["x"]
    for reading in read_table(context.table("train"), pixels, field, chunk=2_000, shown=context.progress):
        yield reading.features


def nearest_images(run: Run, context: EvaluationContext, seed: int) -> Tensor:
    """Samples, each above its three nearest training images in pixel space: [1 + 3, nearest, C, H, W]."""
    pixels, table = Pixels(), context.table("train")
    samples = run.sample(context.settings.nearest, seed, **context.settings.sampling)
    rows = nearest(pixels(samples), training_pixels(context, pixels), neighbours=min(3, len(table))).rows
    found = as_examples(table.rows(rows.T.flatten())["x"], context.source.spec["x"])
    return torch.cat([samples[None], found.unflatten(0, (-1, len(samples)))])


SAMPLE_METRICS: dict[str, Callable[[EvaluationContext, int, int], SampleMetric]] = {
    "frechet": frechet,
    "kernel": kernel,
    "inception_score": inception_score,
    "manifold": pairwise(_manifold),  # precision, recall (k = 3), density, coverage (k = 5)
    "mmd": pairwise(_gaussian_mmd),  # squared maximum mean discrepancy with a Gaussian kernel
    "sliced_wasserstein": pairwise(_sliced_wasserstein),  # mean 1-Wasserstein distance along random directions
    "mind": pairwise(_mind),  # squared 2-Wasserstein distance along random directions, times 3 D
    "classes": classes,
    "copies": copies,
    "modes": modes,
    "channel_modes": channel_modes,
    "wasserstein": wasserstein,
}
"""By name: (context, number of samples, seed) to the metric. `genlab.metrics.catalogue` lists what it returns."""
