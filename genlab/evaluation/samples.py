"""What metrics of samples are made of: they take samples in batches, in a single pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from genlab.evaluation.context import MetricValue
from genlab.evaluation.extractor import Reading


@dataclass
class SampleBatch:
    """A batch of samples [n, *shape], images or points, the labels requested [n] or None, and the extractor's reading
    (empty if no metric needs it)."""

    images: Tensor
    labels: Tensor | None
    reading: Reading


class SampleMetric(NamedTuple):
    """One metric, or several that share their computation. Memory does not grow with the number of samples.

    update: adds a batch. result: the values by name, once all samples have been added. kept: the points it holds.
    """

    update: Callable[[SampleBatch], None]
    result: Callable[[], dict[str, MetricValue]]
    kept: Sequence[Tensor] = ()


class FirstPoints:
    """The first `most` of the points [n, D] that arrive in batches."""

    def __init__(self, most: int):
        self.missing = most
        self.kept: list[Tensor] = []

    def update(self, points: Tensor) -> None:
        if self.missing:  # even an empty slice would keep the whole batch in memory
            self.kept.append(points[: self.missing].cpu().clone())
            self.missing -= len(self.kept[-1])
