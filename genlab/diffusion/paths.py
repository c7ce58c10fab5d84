"""Paths from data to noise: x_t = alpha(t) x_0 + sigma(t) eps with eps ~ N(0, I), t from 0 (data) to 1 (noise).

A network predicts a linear combination of x_0 and eps, from which both follow. A deterministic sampler follows the
ordinary differential equation of the path (Song et al. 2021), in the time clock(t) in which x_t moves most evenly: the
rectified path's own, or the angle phi of x_t = cos(phi) x_0 + sin(phi) eps.

References:
- Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239
- Nichol, Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2102.09672
- Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, Score-Based Generative Modeling through Stochastic
  Differential Equations, https://arxiv.org/abs/2011.13456
- Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models, https://arxiv.org/abs/2010.02502
- Salimans, Ho 2022, Progressive Distillation for Fast Sampling of Diffusion Models (v),
  https://arxiv.org/abs/2202.00512
- Lipman, Chen, Ben-Hamu, Nickel, Le 2023, Flow Matching for Generative Modeling, https://arxiv.org/abs/2210.02747
- Liu, Gong, Liu 2023, Flow Straight and Fast, https://arxiv.org/abs/2209.03003 (the rectified path)
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor

PathName = Literal["rectified", "linear", "cosine"]
PredictionName = Literal["noise", "x0", "v", "velocity"]

_STEPS = 1000
"""Times of the discrete paths; t = n / 1000."""


Number = Any
"""A float, or a tensor of times with axes of length 1 for those of an example."""


@dataclass(frozen=True)
class Place:
    """A point of the path: alpha and sigma, and the coefficients of x_0 and eps in dx_t/dt."""

    alpha: Number
    sigma: Number
    d_alpha: Number
    d_sigma: Number

    @property
    def snr(self) -> Number:
        """(alpha / sigma)^2, of times above 0."""
        return (self.alpha / self.sigma) ** 2

    @property
    def kappa(self) -> Number:
        """sigma / alpha, of times at which there is data left."""
        return self.sigma / self.alpha

    def mix(self, x0: Tensor, eps: Tensor) -> Tensor:
        """x_t."""
        return self.alpha * x0 + self.sigma * eps

    def coefficients(self, prediction: PredictionName) -> tuple[Number, Number]:
        """Those of x_0 and of eps in what a network predicts."""
        zero, one = 0 * self.alpha, 0 * self.alpha + 1
        return {
            "noise": (zero, one),
            "x0": (one, zero),
            "v": (-self.sigma, self.alpha),
            "velocity": (self.d_alpha, self.d_sigma),
        }[prediction]

    def target(self, prediction: PredictionName, x0: Tensor, eps: Tensor) -> Tensor:
        """What a network should predict."""
        a, b = self.coefficients(prediction)
        return a * x0 + b * eps

    def solve(self, prediction: PredictionName, x_t: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """x_0 and eps from x_t = alpha x_0 + sigma eps and predicted = a x_0 + b eps."""
        a, b = self.coefficients(prediction)
        determinant = self.alpha * b - self.sigma * a
        return (b * x_t - self.sigma * predicted) / determinant, (self.alpha * predicted - a * x_t) / determinant

    def error_of_x0(self, prediction: PredictionName) -> Number:
        """How much larger an error of x_0 is than that of the prediction it follows from."""
        a, b = self.coefficients(prediction)
        return abs(self.sigma / (self.alpha * b - self.sigma * a))


class Rectified:
    """alpha = 1 - t, sigma = t: straight lines from data to noise."""

    discrete = False

    def at(self, t: Number) -> Place:
        one = 0 * t + 1
        return Place(1 - t, t, -one, one)

    def time(self, kappa: Number) -> Number:
        """t at which sigma / alpha is kappa, a number or a tensor [N]."""
        return kappa / (1 + kappa)

    def clock(self, place: Place) -> float:
        return place.sigma

    def slope(self, place: Place, x0: Tensor, eps: Tensor) -> Tensor:
        """dx_t / dclock."""
        return eps - x0


class VariancePreserving:
    """alpha^2 + sigma^2 = 1, alpha^2 = exp(log_alpha_bar(t)), linear in t between the values at t = n / steps."""

    discrete = True

    def __init__(self, betas: list[float]):
        """betas: the share of the variance that each step replaces by noise."""
        self.steps = len(betas)
        self.log_alpha_bar = [0.0, *accumulate(math.log1p(-beta) for beta in betas)]
        self.tables: dict[Any, Tensor] = {}  # the same, sent to a device once and not at every step

    def table(self, like: Tensor) -> Tensor:
        """`log_alpha_bar` with the precision and on the device of a tensor."""
        key = like.device, like.dtype
        if key not in self.tables:
            self.tables[key] = torch.tensor(self.log_alpha_bar, dtype=like.dtype, device=like.device)
        return self.tables[key]

    def at(self, t: Number) -> Place:
        left: Number
        right: Number
        if isinstance(t, Tensor):
            below: Number = (t * self.steps).floor().clamp(0, self.steps - 1)
            table = self.table(t)
            left, right = table[below.long()], table[below.long() + 1]
            mathematics: Any = torch
        else:  # without tensors, so that torch.export sees numbers
            below = min(int(t * self.steps), self.steps - 1)
            left, right = self.log_alpha_bar[below], self.log_alpha_bar[below + 1]
            mathematics = math
        log_alpha_bar = left + (t * self.steps - below) * (right - left)
        rate = self.steps * (right - left)
        alpha, sigma = mathematics.exp(log_alpha_bar / 2), abs(mathematics.expm1(log_alpha_bar)) ** 0.5
        found = alpha, sigma, alpha * rate / 2, -(alpha**2) * rate / (2 * sigma + 1e-9)  # finite at t = 0
        return Place(*(value.to(t.dtype) for value in found)) if isinstance(t, Tensor) else Place(*found)

    def time(self, kappa: Number) -> Number:
        left: Number
        right: Number
        if isinstance(kappa, Tensor):
            fallen = -self.table(kappa)
            wanted: Number = kappa.square().log1p()
            after: Number = torch.searchsorted(fallen, wanted).clamp(1, self.steps)
            left, right = fallen[after - 1], fallen[after]
        else:
            wanted = math.log1p(kappa**2)
            after = min(max(1, bisect_left(self.log_alpha_bar, wanted, key=lambda value: -value)), self.steps)
            left, right = -self.log_alpha_bar[after - 1], -self.log_alpha_bar[after]
        return (after - 1 + (wanted - left) / (right - left)) / self.steps

    def clock(self, place: Place) -> float:
        return math.atan2(place.sigma, place.alpha)

    def slope(self, place: Place, x0: Tensor, eps: Tensor) -> Tensor:
        return place.alpha * eps - place.sigma * x0


Path = Rectified | VariancePreserving


def make_path(name: PathName) -> Path:
    """rectified; linear: the variances of Ho et al. 2020; cosine: those of Nichol and Dhariwal 2021."""
    if name == "rectified":
        return Rectified()
    if name == "linear":
        return VariancePreserving([1e-4 + (0.02 - 1e-4) * n / (_STEPS - 1) for n in range(_STEPS)])
    alpha_bar = [math.cos((n / _STEPS + 0.008) / 1.008 * math.pi / 2) ** 2 for n in range(_STEPS + 1)]
    return VariancePreserving([min(1 - after / before, 0.999) for before, after in pairwise(alpha_bar)])


def over(t: Tensor, x: Tensor) -> Tensor:
    """Times [N], shaped so that they multiply examples x [N, ...]."""
    return t.to(x.dtype).view(-1, *[1] * (x.ndim - 1))
