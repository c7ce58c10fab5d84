"""Grey levels of images as real numbers: noise within a level, logits, and a flow that learns which noise is best.

With noise u of density q(u | x) in [0, 1), log P(x) >= E_q[log p(x + u) - log q(u | x)].

References:
- Theis, van den Oord, Bethge 2016, A note on the evaluation of generative models, https://arxiv.org/abs/1511.01844, for
  uniform noise
- Ho, Chen, Srinivas, Duan, Abbeel 2019, Flow++: Improving Flow-Based Generative Models with Variational Dequantization
  and Architecture Design, https://arxiv.org/abs/1902.00275
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from genlab.networks.invertible import Checkerboard
from genlab.networks.network import Shape

_LEAST = 1e-7
"""Distance from 0 and 1 that logits of uniform noise keep, so that they are finite."""


@dataclass(frozen=True)
class Dequantised:
    """Grey levels k, 0 to levels - 1, with noise u: y = scale * logit(margin + (1 - 2 margin) (k + u) / levels)."""

    levels: int
    margin: float
    scale: float

    def inward(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """y and log |det dy/dk| [N] for x in [0, 1] and the noise u, all [N, C, H, W]."""
        number = (x * (self.levels - 1)).round()
        # w = (k + u) / levels, and 1 - w, which is not rounded to 0
        parts = (number + u) / self.levels, (self.levels - 1 - number + (1 - u)) / self.levels
        log_p, log_q = ((self.margin + (1 - 2 * self.margin) * part).log() for part in parts)
        # d logit(p) / dp = 1 / (p (1 - p))
        constant = math.log(self.scale * (1 - 2 * self.margin) / self.levels)
        return self.scale * (log_p - log_q), (constant - log_p - log_q).flatten(1).sum(1)

    def outward(self, y: Tensor) -> Tensor:
        """x in [0, 1]; the middle of a level becomes its value, what lies between two middles a value between."""
        w = ((y / self.scale).sigmoid() - self.margin) / (1 - 2 * self.margin)
        return ((self.levels * w - 0.5) / (self.levels - 1)).clamp(0, 1)

    def rounded(self, x: Tensor) -> Tensor:
        """x, each entry replaced by the value of its level."""
        return (x * (self.levels - 1)).round() / (self.levels - 1)


class VariationalNoise(nn.Module):
    """q(u | x): u = sigmoid(f(logit(e), x)) with uniform noise e, for images x of the given shape. f are couplings of
    pixels that also read x. It starts as the identity, q as the uniform distribution. channels: of its networks."""

    def __init__(self, shape: Shape, channels: int = 32, layers: int = 4):
        super().__init__()
        self.layers: Any = nn.ModuleList(_Reading(shape, channels, number % 2 == 1) for number in range(layers))

    def forward(self, e: Tensor, x: Tensor) -> Tensor:
        """[N, D + 1]: the noise u and, as the last entry, log q(u | x) in nats, for e in [0, 1) and x in [0, 1], both
        [N, C, H, W]. One tensor, so that it is computed in portions of the rows."""
        e = e.clamp(_LEAST, 1 - _LEAST)
        log_e, log_f = e.log(), (-e).log1p()
        y, log_q = log_e - log_f, (log_e + log_f).flatten(1).sum(1)
        for layer in self.layers:
            y, log_det = layer(y, 2 * x - 1)
            log_q = log_q - log_det
        # d sigmoid(y) / dy = sigmoid(y) sigmoid(-y)
        log_q = log_q - (logsigmoid(y) + logsigmoid(-y)).flatten(1).sum(1)
        return torch.cat([y.sigmoid().flatten(1), log_q[:, None]], 1)


class _Reading(Checkerboard):
    """A coupling whose features are an image."""

    def __init__(self, shape: Shape, channels: int, odd: bool):
        super().__init__(shape, channels, 0, odd)
        self.told = nn.Conv2d(shape[0], channels, 3, padding=1)
