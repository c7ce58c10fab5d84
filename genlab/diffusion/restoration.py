"""Images from what a linear operator A left of them, by a diffusion model that was trained for nothing of the kind.

References:
- Wang, Yu, Zhang 2023, Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model,
  https://arxiv.org/abs/2212.00490 (projection)
- Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool 2022, RePaint, https://arxiv.org/abs/2201.09865 (repaint, here
  for any operator and path)
- Chung, Kim, Mccann, Klasky, Ye 2023, Diffusion Posterior Sampling for General Noisy Inverse Problems,
  https://arxiv.org/abs/2209.14687 (dps)
"""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from genlab.diffusion.operators import Operator
from genlab.diffusion.paths import Path, over
from genlab.diffusion.samplers import Denoiser, renoised

RestorationName = Literal["projection", "repaint", "dps"]

_RESAMPLINGS = 5
"""How often repaint takes each step."""

_STEPS_OF_DPS = 1000
"""Steps for which dps takes gradients as they are; of fewer steps each goes farther."""

_ALTERNATIONS = 200


def restored(
    method: RestorationName,
    path: Path,
    denoise: Denoiser,
    y: Tensor,
    operator: Operator,
    x: Tensor,
    grid: Iterable[tuple[float, float]],
    steps: int,
    eta: float,
) -> Tensor:
    """Images [N, C, H, W] in [-1, 1] that give y, from noise x; further noise by torch's global generator.

    grid: times before and after each of the `steps`. eta: of `projection`, how much of the noise of a step is new, from
    0 to 1.
    """
    if method not in get_args(RestorationName):
        raise ValueError(f"sampling.method={method}: choose from {', '.join(get_args(RestorationName))}")
    for t, s in grid:
        if method == "projection":
            x0, eps = denoise(x, t)
            x = renoised(path, operator.project(x0, y), eps, t, s, eta)
        elif method == "repaint":
            x = _resampled(path, denoise, y, operator, x, t, s)
        else:
            x = _led(path, denoise, y, operator, x, t, s, _STEPS_OF_DPS / steps)
    return agreeing(operator, x, y)


def agreeing(operator: Operator, x: Tensor, y: Tensor) -> Tensor:
    """An image near x that is in [-1, 1] and gives y, by projecting on either in turn."""
    for _ in range(_ALTERNATIONS):
        x = operator.project(x, y).clamp(-1, 1)
    return x


def _resampled(path: Path, denoise: Denoiser, y: Tensor, operator: Operator, x: Tensor, t: float, s: float) -> Tensor:
    """x at s, which agrees with y under the noise of s. After a step goes one back, so that the rest agrees with it."""
    here, there = path.at(t), path.at(s)
    for number in range(_RESAMPLINGS if s > 0 else 1):
        if number:
            kept = here.alpha / there.alpha
            x = kept * x + (here.sigma**2 - (kept * there.sigma) ** 2) ** 0.5 * torch.randn_like(x)
        x = renoised(path, *denoise(x, t), t, s, 1.0)
        known = there.mix(operator.inverse(y), torch.randn_like(x))
        x = operator.project(x, operator.apply(known))
    return x


def _led(
    path: Path, denoise: Denoiser, y: Tensor, operator: Operator, x: Tensor, t: float, s: float, length: float
) -> Tensor:
    """x at s, moved against the gradient of the distance between y and what x_0 gives, by `length` times the gradient;
    less where that would lead beyond y, were the distance linear."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        x0, eps = denoise(leaf, t)
        distance = (y - operator.apply(x0)).flatten(1).norm(dim=1)
        (gradient,) = torch.autograd.grad(distance.sum(), leaf)
    to_y = distance.detach() / gradient.flatten(1).square().sum(1).clamp(min=1e-12)
    return renoised(path, x0.detach(), eps.detach(), t, s, 1.0) - over(to_y.clamp(max=length), x) * gradient
