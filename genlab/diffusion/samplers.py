"""Samplers: from noise at t = 1 to data at t = 0 in a number of steps, by a network that knows x_0 and eps of any x_t.

References:
- Ho et al. 2020, https://arxiv.org/abs/2006.11239 (ddpm)
- Song, Meng, Ermon 2021, Denoising Diffusion Implicit Models, https://arxiv.org/abs/2010.02502 (ddim, eta)
- Karras, Aittala, Aila, Laine 2022, Elucidating the Design Space of Diffusion-Based Generative Models,
  https://arxiv.org/abs/2206.00364 (heun)
- Lu, Zhou, Bao, Chen, Li, Zhu 2022, DPM-Solver++, https://arxiv.org/abs/2211.01095 (second order, multistep)
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from genlab.diffusion.paths import Path, Place

SamplerName = Literal["ddpm", "ddim", "euler", "heun", "dpm-solver++"]

Denoiser = Callable[[Tensor, float | Tensor], tuple[Tensor, Tensor]]
"""x_t [N, ...] and t, of all or of each row [N] -> x_0 and eps, shaped as x_t."""


def times(steps: int, backward: bool = False) -> list[float]:
    """From 1 to 0, or from 0 to 1, `steps` + 1 numbers."""
    found = [1 - number / steps for number in range(steps + 1)]
    return found[::-1] if backward else found


def states(
    sampler: SamplerName, path: Path, denoise: Denoiser, x: Tensor, grid: Sequence[float], eta: float = 0.0
) -> Iterator[Tensor]:
    """x at each time of the `grid` after the first; x: at the first.

    eta: of ddim, euler and heun; noise added again at each step, by torch's global generator: 0 adds none, 1 as much as
    ddpm. euler and heun first go below the noise of the step's end (as ancestral samplers of k-diffusion do).
    """
    step = {"euler": _euler, "heun": _heun}.get(sampler)
    if step:
        for t, s in pairwise(grid):
            below, new = _divided(path, t, s, eta)
            x = step(path, denoise, x, t, below)
            if new:
                x = path.at(s).alpha * (x / path.at(below).alpha + new * torch.randn_like(x))
            yield x
    elif sampler == "dpm-solver++":
        yield from _dpm_solver(path, denoise, x, grid)
    else:
        for t, s in pairwise(grid):
            x = renoised(path, *denoise(x, t), t, s, 1.0 if sampler == "ddpm" else eta)
            yield x


def _divided(path: Path, t: float, s: float, eta: float) -> tuple[float, float]:
    """The time u at which kappa^2 = kappa_s^2 - new^2, and new: x / alpha at u, plus N(0, new^2), is x / alpha at s."""
    if not eta or s == 0:
        return s, 0.0
    there = path.at(s)
    new = _new_noise(path.at(t), there, eta) / there.alpha
    return path.time(max(0.0, there.kappa**2 - new**2) ** 0.5), new


def _left(here: Place, there: Place) -> float:
    """kappa at a later place of the way to the data, relative to that before: exp(-h) of DPM-Solver++, 0 at the data
    and after pure noise."""
    return here.alpha * there.sigma / (here.sigma * there.alpha)


def _new_noise(here: Place, there: Place, eta: float) -> float:
    """Deviation of the noise that is added in a step: eta times that of the posterior q(x_s | x_t, x_0)."""
    return eta * there.sigma * max(0.0, 1 - _left(here, there) ** 2) ** 0.5


def _euler(path: Path, denoise: Denoiser, x: Tensor, t: float, s: float) -> Tensor:
    here, there = path.at(t), path.at(s)
    return x + (path.clock(there) - path.clock(here)) * path.slope(here, *denoise(x, t))


def _heun(path: Path, denoise: Denoiser, x: Tensor, t: float, s: float) -> Tensor:
    """Two calls of the network; one where the step ends at the data, where x_t says nothing of eps."""
    here, there = path.at(t), path.at(s)
    step, slope = path.clock(there) - path.clock(here), path.slope(here, *denoise(x, t))
    ahead = x + step * slope
    if s == 0:
        return ahead
    return x + step * (slope + path.slope(there, *denoise(ahead, s))) / 2


def renoised(path: Path, x0: Tensor, eps: Tensor, t: float, s: float, eta: float) -> Tensor:
    """x at s < t: alpha_s x_0, some of eps, and new noise, eta times as much as the posterior q(x_s | x_t, x_0) has."""
    there = path.at(s)
    new = _new_noise(path.at(t), there, eta)
    x = there.alpha * x0 + max(0.0, there.sigma**2 - new**2) ** 0.5 * eps
    return x + new * torch.randn_like(x0) if new > 0 else x


def _dpm_solver(path: Path, denoise: Denoiser, x: Tensor, grid: Sequence[float]) -> Iterator[Tensor]:
    """With lambda = log(alpha / sigma), h the difference of it in a step and r that of the last step divided by h:
    x_s = sigma_s / sigma_t x_t - alpha_s (exp(-h) - 1) D, D = x_0 + (x_0 - that of the last step) / (2 r)."""
    before: tuple[Tensor, float] | None = None
    for t, s in pairwise(grid):
        here, there = path.at(t), path.at(s)
        direction = x0 = denoise(x, t)[0]
        left = _left(here, there)
        if before and before[1] and left:  # else h is infinite: the step is of first order
            direction = x0 + math.log(left) / math.log(before[1]) / 2 * (x0 - before[0])
        x = there.sigma / here.sigma * x + there.alpha * (1 - left) * direction
        before = x0, left
        yield x
