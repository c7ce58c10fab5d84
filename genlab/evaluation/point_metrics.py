"""Metrics of generated points: modes of a known mixture, and Wasserstein distances.

References:
    PacGAN: The power of two samples in generative adversarial networks (Lin, Khetan, Fanti, Oh, 2018), for the number
    of samples in which modes are counted, https://arxiv.org/abs/1712.04086
"""

import torch
from torch import Tensor

from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.samples import FirstPoints, SampleMetric
from genlab.metrics.classes import modes_covered
from genlab.metrics.points import wasserstein_1d, wasserstein_2

_COUNTED = 2_500
"""Samples in which modes are counted, as in the paper: more samples cover more modes."""

_TRANSPORTED = 10_000


def modes(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """modes_covered, and high_quality: the share of samples within 3 standard deviations of a mode."""
    known, first = context.source.modes, FirstPoints(min(_COUNTED, num_samples))
    assert known, "a metric for data with known modes"

    def result() -> dict[str, MetricValue]:
        samples = torch.cat(first.kept)
        found = modes_covered(samples, known.centres, known.deviation)
        names = ("modes_covered", "high_quality")
        details = {key: value for key, value in found.items() if key not in names} | {"samples": len(samples)}
        return {name: MetricValue(found[name], details=details) for name in names}

    return SampleMetric(lambda drawn: first.update(drawn.images), result, first.kept)


def wasserstein(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """wasserstein: between samples and real points, in their units; of order 1 and exact in one dimension, else of
    order 2 between at most 2,000 points of each."""
    real, first = context.real.features, FirstPoints(min(_TRANSPORTED, num_samples))

    def result() -> dict[str, MetricValue]:
        samples = torch.cat(first.kept)
        return {"wasserstein": _distance(samples, real)}

    return SampleMetric(lambda drawn: first.update(drawn.images), result, first.kept)


def _distance(samples: Tensor, real: Tensor) -> MetricValue:
    # Beside it stands what its size compares with.
    details = {"samples": len(samples), "real": len(real), "real_std": real.std(0).norm().item()}
    if real.shape[1] == 1:
        return MetricValue(wasserstein_1d(samples, real), details={"order": 1, **details})
    found = wasserstein_2(samples, real)
    return MetricValue(found["wasserstein_2"], details={"order": 2, **details, "points": found["points"]})
