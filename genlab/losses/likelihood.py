"""Likelihoods of an example given the output of a decoder: log p(x | z) in nats per example.

References:
- Kingma and Welling 2014, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
- Rybkin, Daniilidis, Levine 2021, Simple and Effective VAE Training with Calibrated Decoders, https://arxiv.org/abs/2006.13202
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LikelihoodName = Literal["bernoulli", "gaussian", "gaussian-learned"]

_SMALLEST_LOG_VARIANCE = {
    True: -11.0,  # data with levels: the std is one of 256 grey levels; below, the density rewards precision only
    False: -30.0,  # real numbers of variance 1: the std is near the precision of float32
}


class Likelihood(nn.Module):
    """A distribution of the entries of x given the raw outputs of a decoder.

    squash: maps raw outputs to expected entries; sigmoid for images in [0, 1].
    """

    def __init__(self, squash: Callable[[Tensor], Tensor] = torch.sigmoid):
        super().__init__()
        self.squash = squash

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """log p(x | output) [N] for raw outputs and examples, [N, *shape] each."""
        raise NotImplementedError

    def mean(self, output: Tensor) -> Tensor:
        """The expected example."""
        return self.squash(output)

    def bits_per_dim(self, nats: Tensor, dimensions: int) -> Tensor:
        """-nats / (D log 2)."""
        return -nats / (dimensions * math.log(2))


class Bernoulli(Likelihood):
    """Every pixel is 1 with probability sigmoid(output). Grey pixels are expected values of binary ones."""

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        # sum_i x_i log p_i + (1 - x_i) log(1 - p_i), from logits, to avoid log(0)
        return -F.binary_cross_entropy_with_logits(output.to(x.dtype), x, reduction="none").flatten(1).sum(1)


class Gaussian(Likelihood):
    """Every entry is N(squash(output), variance) with one variance for all, fixed or learned.

    variance: the fixed or the initial value, in units of the squared pixel range, or of the points' variance.
    levels: number of values that an entry of the data can have; 0 if it is a real number.
    """

    def __init__(
        self, variance: float, learned: bool, squash: Callable[[Tensor], Tensor] = torch.sigmoid, levels: int = 256
    ):
        super().__init__(squash)
        self.levels = levels
        if variance <= 0:
            raise ValueError(f"model.variance={variance}: must be greater than 0")
        log_variance = torch.tensor(math.log(variance))
        self.log_variance = nn.Parameter(log_variance, requires_grad=learned)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        log_variance = self.log_variance.clamp(min=_SMALLEST_LOG_VARIANCE[self.levels > 0])
        # -((x - m)^2 / sigma^2 + log sigma^2 + log 2 pi) / 2
        squared = (x - self.mean(output.to(x.dtype))).square()
        terms = squared * (-log_variance).exp() + log_variance + math.log(2 * math.pi)
        return -terms.flatten(1).sum(1) / 2

    def bits_per_dim(self, nats: Tensor, dimensions: int) -> Tensor:
        """-nats / (D log 2) + log2(levels): from a density on [0, 1] to a probability of one of 256 grey levels.

        Of real numbers it remains that of the density.
        """
        return super().bits_per_dim(nats, dimensions) + (math.log2(self.levels) if self.levels else 0)


def make_likelihood(
    name: LikelihoodName,
    variance: float,
    squash: Callable[[Tensor], Tensor] = torch.sigmoid,
    levels: int = 256,
) -> Likelihood:
    """The likelihood `name` of data with `levels`, see `Gaussian`; only the Gaussian ones use `variance`."""
    return Bernoulli() if name == "bernoulli" else Gaussian(variance, name == "gaussian-learned", squash, levels)
