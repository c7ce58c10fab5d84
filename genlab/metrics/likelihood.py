"""Importance-weighted bounds on log p(x) of a latent variable model; memory does not grow with the number of draws.

Reference: Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from genlab.contract.data import Condition
from genlab.contract.model import GenerativeModel
from genlab.system.portions import rows_at_once


@dataclass(frozen=True)
class Bounds:
    """Estimates of two lower bounds on log p(x) from the same draws, nats per example, each float64 [N] on the CPU.

    elbo: mean_k log w_k. importance_weighted: log mean_k w_k, never below the elbo and tighter with more draws.
    Both are below log p(x) in expectation over the draws; a single estimate may exceed it by Monte Carlo error.
    """

    elbo: Tensor
    importance_weighted: Tensor


@torch.no_grad()
def likelihood_bounds(
    model: GenerativeModel, x: Tensor, num_samples: int, chunk: int = 16, *given: Condition | None
) -> Bounds:
    """ELBO and importance-weighted bound of examples x [N, *shape] from `num_samples` draws for each, of a model that
    has `log_weights`. given: the condition, for models that have any.

    Uses torch's global generator, at most `chunk` draws at a time, fewer of large examples (N * chunk decoded ones in
    memory): results depend on its state, N and `chunk`. `ValueError` if `num_samples` or `chunk` is less than 1.
    """
    for name, value in (("num_samples", num_samples), ("chunk", chunk)):
        if value < 1:
            raise ValueError(f"{name}={value}: must be at least 1")
    total = torch.zeros(len(x), dtype=torch.float64)
    chunk = max(1, min(chunk, rows_at_once(x.shape[1:], most=chunk * len(x)) // len(x)))
    log_total = torch.full_like(total, -torch.inf)
    for start in range(0, num_samples, chunk):
        log_weights = model.log_weights(x, min(chunk, num_samples - start), *given).cpu().double()
        total += log_weights.sum(0)
        log_total = torch.logaddexp(log_total, log_weights.logsumexp(0))  # log of the sum of w_k so far
    return Bounds(elbo=total / num_samples, importance_weighted=log_total - log(num_samples))
