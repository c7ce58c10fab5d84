"""How statistics of examples are distributed, and how far others are from that.

Reference: Mahalanobis 1936, On the generalised distance in statistics
"""

from typing import NamedTuple

import torch
from torch import Tensor

_ROUNDING = 1e-6
"""Relative deviation up to which float32 numbers count as equal."""


class Normal(NamedTuple):
    """A normal distribution of statistics: mean and deviation [S] float64, and the inverse of their correlations."""

    mean: Tensor
    deviation: Tensor
    precision: Tensor

    @classmethod
    def of(cls, statistics: Tensor) -> "Normal":
        """Fitted to rows [N, S]; what is constant among them is left out. `ValueError` unless all are finite."""
        rows = statistics.double()
        if broken := int((~rows.isfinite().all(1)).sum()):
            raise ValueError(f"{broken} of {len(rows)} training examples have statistics that are not finite")
        mean, deviation = rows.mean(0), rows.std(0, correction=0)
        deviation[deviation <= _ROUNDING * mean.abs()] = torch.inf
        scaled = (rows - mean) / deviation
        return cls(mean, deviation, torch.linalg.pinv(scaled.T @ scaled / len(rows), hermitian=True))

    def distances(self, statistics: Tensor) -> Tensor:
        """Mahalanobis distances [N] of rows [N, S], float64; infinite where a statistic is not finite."""
        scaled = (statistics.double() - self.mean) / self.deviation
        found = (scaled @ self.precision * scaled).sum(1).clamp(min=0).sqrt()
        return torch.where(statistics.isfinite().all(1), found, torch.inf)
