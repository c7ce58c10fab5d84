"""Coverage of samples: classes predicted by a classifier, agreement with requested labels, modes of a mixture.

References:
    VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava, Valkov, Russell, Gutmann,
    Sutton, 2017), for modes and high-quality samples, https://arxiv.org/abs/1705.07761
    PacGAN: The power of two samples in generative adversarial networks (Lin, Khetan, Fanti, Oh, 2018), for the protocol
    of 2,500 samples, https://arxiv.org/abs/1712.04086
"""

from math import log
from typing import Any

import torch
from torch import Tensor


class ClassCounts:
    """Counts of predicted classes, from probabilities that arrive in chunks.

    covered_from: a class is covered if it has at least this fraction of 1 / K of the samples.
    """

    def __init__(self, num_classes: int, covered_from: float = 0.1):
        self.least_share = covered_from / num_classes
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self.certainty = 0.0
        self.asked, self.agreed = 0, 0.0

    def update(self, probabilities: Tensor, asked: Tensor | None = None) -> None:
        """Add probabilities [N, K] and, for samples requested by label, the labels int64 [N]."""
        top, predicted = probabilities.detach().cpu().max(1)
        self.counts += predicted.bincount(minlength=len(self.counts))
        self.certainty += top.sum(dtype=torch.float64).item()
        if asked is not None:
            self.asked += len(asked)
            self.agreed += (predicted == asked.cpu()).sum().item()

    def result(self) -> dict[str, Any]:
        """The fraction of samples per class (shares), and statistics.

        classes_covered: classes with a share of at least `least_share`. entropy: of the shares, in nats; log K for
        uniform shares, 0 for a single class. certainty: mean probability of the predicted class. agreement: fraction
        of samples predicted as the requested label, if labels were given.
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
    """Entropy -sum p log p in nats, with p = counts [K] / their sum."""
    shares = counts.double() / counts.sum()
    return -torch.xlogy(shares, shares).sum().item()


def modes_covered(points: Tensor, centres: Tensor, deviation: Tensor | float, reach: float = 3.0) -> dict[str, Any]:
    """How many modes of a mixture of isotropic Gaussians a set of points covers.

    points: [N, D]; centres: [M, D]; deviation: standard deviation of each mode along each axis, [M], or of all. A point
    belongs to the mode from which it is the fewest standard deviations away, and is of high quality if these are at
    most `reach`. One such point covers a mode. counts: high-quality points of each mode.
    """
    deviation = torch.as_tensor(deviation, dtype=torch.float64, device=points.device).expand(len(centres))
    distances, nearest = (torch.cdist(points.double(), centres.to(points.device).double()) / deviation).min(1)
    counts = nearest[distances <= reach].bincount(minlength=len(centres))
    return {
        "modes_covered": (counts > 0).sum().item(),
        "modes": len(centres),
        "high_quality": counts.sum().item() / len(points),
        "counts": counts.tolist(),
        "reach": reach,
        "deviation": deviation.unique().tolist(),
    }
