"""What a set of samples holds: classes read by a classifier, labels that were asked for, modes of a mixture of points.

References:
    VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava, Valkov, Russell, Gutmann,
    Sutton, 2017), for modes and samples of high quality, https://arxiv.org/abs/1705.07761
"""

from math import log
from typing import Any

import torch
from torch import Tensor


class ClassCounts:
    """Counts of the classes that a classifier reads, of probabilities that arrive in chunks.

    covered_from: a class counts as covered from this share of 1 / K of the samples on.
    """

    def __init__(self, num_classes: int, covered_from: float = 0.1):
        self.least_share = covered_from / num_classes
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self.certainty = 0.0
        self.asked, self.agreed = 0, 0.0

    def update(self, probabilities: Tensor, asked: Tensor | None = None) -> None:
        """Take in probabilities [N, K] and, where samples were asked for by label, the labels int64 [N]."""
        top, read = probabilities.detach().cpu().max(1)
        self.counts += read.bincount(minlength=len(self.counts))
        self.certainty += top.sum(dtype=torch.float64).item()
        if asked is not None:
            self.asked += len(asked)
            self.agreed += (read == asked.cpu()).sum().item()

    def result(self) -> dict[str, Any]:
        """Shares by class, and what they say.

        classes_covered: classes with at least `least_share` of the samples. entropy: of the shares, in nats; log K for
        samples spread evenly, 0 for a single class. certainty: mean probability of the class read. agreement: share of
        samples read as the label asked for, where labels were.
        """
        total = self.counts.sum().item()
        if not total:
            raise ValueError("classes of samples: there are no samples")
        shares = self.counts.double() / total
        result = {
            "classes_covered": (shares >= self.least_share).sum().item(),
            "classes": len(shares),
            "least_share": self.least_share,
            "entropy": entropy(self.counts),
            "largest_entropy": log(len(shares)),
            "certainty": self.certainty / total,
            "shares": shares.tolist(),
            "samples": total,
        }
        return result | ({"agreement": self.agreed / self.asked} if self.asked else {})


def entropy(counts: Tensor) -> float:
    """Entropy -sum p log p, in nats, of the shares of counts [K]."""
    shares = counts.double() / counts.sum()
    return -torch.xlogy(shares, shares).sum().item()


def modes_covered(points: Tensor, centres: Tensor, deviation: float, reach: float = 3.0) -> dict[str, float | int]:
    """How many modes of a mixture of round Gaussians a set of points holds.

    points: [N, D]; centres: [M, D]; deviation: of each mode, along each axis. A point is of high quality within `reach`
    deviations of its nearest centre, and a mode is covered by one such point.
    """
    distances, nearest = torch.cdist(points.double(), centres.double()).min(1)
    good = distances <= reach * deviation
    return {
        "modes_covered": len(nearest[good].unique()),
        "modes": len(centres),
        "high_quality": good.double().mean().item(),
        "reach": reach,
        "deviation": deviation,
    }
