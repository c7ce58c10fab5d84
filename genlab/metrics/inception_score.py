"""The Inception Score: is the class of each sample certain, and are classes diverse over samples?

References: Improved Techniques for Training GANs (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016)
https://arxiv.org/abs/1606.03498
"""

from typing import Any

import torch
from torch import Tensor


class InceptionScore:
    """exp(E_x KL(p(y|x) || p(y))) of class probabilities that arrive in chunks: from 1 to the number of classes.

    num_samples: the total number. splits: consecutive blocks of equal size; p(y) is the mean within a block.
    Interleaved splits could hold a single class each, as the labels of conditional samples cycle.
    """

    def __init__(self, num_classes: int, num_samples: int, splits: int = 10):
        if num_samples < splits:
            raise ValueError(f"an Inception Score of {splits} splits needs as many samples, not {num_samples}")
        self.num_samples, self.splits, self.count = num_samples, splits, 0
        self.probabilities = torch.zeros(splits, num_classes, dtype=torch.float64)  # sums of p(y|x)
        self.negative_entropy = torch.zeros(splits, dtype=torch.float64)  # sums of sum_y p(y|x) log p(y|x)

    def update(self, probabilities: Tensor) -> None:
        """Add probabilities [N, K], whose rows sum to 1."""
        p = probabilities.detach().to("cpu", torch.float64)
        split = (self.count + torch.arange(len(p))) * self.splits // self.num_samples
        self.probabilities.index_add_(0, split, p)
        self.negative_entropy.index_add_(0, split, torch.xlogy(p, p).sum(1))
        self.count += len(p)

    def result(self) -> dict[str, Any]:
        """Mean and population standard deviation (std over splits; None for a single one)."""
        assert self.count == self.num_samples, "add all samples first"
        sizes = (torch.arange(self.count) * self.splits // self.num_samples).bincount(minlength=self.splits).double()
        marginal = self.probabilities / sizes[:, None]
        # E KL(p(y|x) || p(y)) = E sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y)
        scores = (self.negative_entropy / sizes - torch.xlogy(marginal, marginal).sum(1)).exp()
        return {
            "mean": scores.mean().item(),
            "std": scores.std(correction=0).item() if self.splits > 1 else None,
            "splits": self.splits,
            "samples": self.count,
        }
