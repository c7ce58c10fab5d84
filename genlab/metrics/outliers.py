"""How well a score separates outliers from in-distribution images.

Reference: Hendrycks and Gimpel 2017, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
Networks, https://arxiv.org/abs/1610.02136
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

_TRUE_POSITIVES = 0.95

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
        """Mahalanobis distances [N] of rows [N, S], float64."""
        scaled = (statistics.double() - self.mean) / self.deviation
        return (scaled @ self.precision * scaled).sum(1).clamp(min=0).sqrt()


def detection(scores_in: Tensor, scores_out: Tensor) -> dict[str, float]:
    """Detect outliers (positive class) by scores of inliers [N] and outliers [M]; higher means less likely.

    auroc: probability that an outlier scores above an inlier, ties counted half; 0.5 is chance.
    aupr: average precision; chance is the fraction M / (N + M) of outliers.
    fpr_at_95_tpr: fraction of inliers above the highest threshold that detects at least 95 % of the outliers;
        0.95 is chance.
    `ValueError` if there are no inliers or no outliers, or a score is not finite.
    """
    sides = [np.asarray(side.detach().cpu(), dtype=np.float64) for side in (scores_in, scores_out)]
    for name, side in zip(("scores_in", "scores_out"), sides, strict=True):
        if not len(side):
            raise ValueError(f"{name}: holds no score; give at least one image")
        if broken := int((~np.isfinite(side)).sum()):
            raise ValueError(f"{name}: {broken} of {len(side)} scores are not finite; choose another method")
    is_outlier = np.repeat([0, 1], [len(side) for side in sides])
    scores = np.concatenate(sides)
    false_positives, true_positives, _ = roc_curve(is_outlier, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(is_outlier, scores)),
        "aupr": float(average_precision_score(is_outlier, scores)),
        "fpr_at_95_tpr": float(false_positives[np.argmax(true_positives >= _TRUE_POSITIVES)]),
    }
