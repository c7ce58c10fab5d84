"""Likelihoods of a diffusion model, in nats.

They work on y = x_t / alpha = x_0 + kappa eps with kappa = sigma / alpha, where the differential equation of every path
is dy / dkappa = eps(x_t, t), from kappa = FIRST, whose noise is less than a grey level, to LAST, where y is taken for
N(0, 1 + kappa^2). Data with levels give a bound: that of y at FIRST, with the probability of the level given y.

References:
- Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239 (the variational bound)
- Kingma, Salimans, Poole, Ho 2021, Variational Diffusion Models, https://arxiv.org/abs/2107.00630 (by the
  signal-to-noise ratio)
- Song et al. 2021, https://arxiv.org/abs/2011.13456 (the likelihood by the differential equation; Hutchinson's trace)
- Zheng, Lu, Chen, Zhu 2023, Improved Techniques for Maximum Likelihood Estimation for Diffusion ODEs,
  https://arxiv.org/abs/2305.03935 (noise of the path itself in place of dequantisation)
"""

import math
from itertools import zip_longest

import torch
from torch import Tensor

from genlab.diffusion.paths import Path, over
from genlab.diffusion.samplers import Denoiser
from genlab.diffusion.weights import DATA_DEVIATION

FIRST, LAST = 0.005, 150.0
_WAY, _RADIUS = math.log(LAST / FIRST), math.hypot(1.0, LAST)


def log_normal(eps: Tensor) -> Tensor:
    """log N(eps; 0, I) of [N, ...], [N] in double precision."""
    return -(eps.double().square() + math.log(2 * math.pi)).flatten(1).sum(1) / 2


def log_density(path: Path, denoise: Denoiser, y: Tensor, steps: int, probe: Tensor | None) -> Tensor:
    """log p(y) [N] of y [N, ...] at FIRST, by the deterministic sampler's equation.

    log p(y) falls with kappa by the trace of d eps / dy, which is nearly proportional to 1 / kappa at first and is
    therefore integrated in log kappa. Heun's `steps` are in the angle of kappa = s tan(angle) and in
    u = y cos(angle) / s = cos(angle) x_0 / s + sin(angle) eps, which stays the same for normal data of deviation s.
    probe: [N, ...] of independent signs, for Hutchinson's estimate of the trace; None: the exact trace.
    """
    kappas = FIRST * (LAST / FIRST) ** (torch.arange(steps + 1, dtype=torch.float64) / steps)
    points = list(zip(kappas.tolist(), path.time(kappas).tolist(), strict=True))

    def slope(y: Tensor, kappa: float, t: float) -> tuple[Tensor, Tensor]:
        """eps, and du / dangle."""
        eps, angle = denoise(path.at(t).alpha * y, t)[1], math.atan(kappa / DATA_DEVIATION)
        return eps, math.cos(angle) * eps - math.sin(angle) * (y - kappa * eps) / DATA_DEVIATION

    traces = list[Tensor]()
    for place, further in zip_longest(points, points[1:]):
        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            eps, turned = slope(leaf, *place)
            traces.append(place[0] * _trace(eps, leaf, probe))
        if further is None:
            break
        angles = [math.atan(kappa / DATA_DEVIATION) for kappa, _ in (place, further)]
        step, (here, there) = angles[1] - angles[0], [DATA_DEVIATION / math.cos(angle) for angle in angles]
        u, turned = y / here, turned.detach()
        _, turned_there = slope((u + step * turned) * there, *further)
        y = (u + step * (turned + turned_there) / 2) * there
    change = torch.trapezoid(torch.stack(traces), dx=_WAY / steps, dim=0)
    return log_normal(y / _RADIUS) - y[0].numel() * math.log(_RADIUS) + change


def _trace(outputs: Tensor, inputs: Tensor, probe: Tensor | None) -> Tensor:
    """Of d outputs / d inputs, [N]."""
    if probe is not None:
        (found,) = torch.autograd.grad((outputs * probe).sum(), inputs)
        return (found * probe).double().flatten(1).sum(1)
    total = inputs.new_zeros(len(inputs), dtype=torch.float64)
    for entry in range(inputs[0].numel()):
        (found,) = torch.autograd.grad(outputs.flatten(1)[:, entry].sum(), inputs, retain_graph=True)
        total += found.flatten(1)[:, entry].double()
    return total


def denoising_error(path: Path, denoise: Denoiser, x0: Tensor, draws: int = 16) -> Tensor:
    """Squared error [N], summed over entries, of the noise that is found in x_0 [N, ...]; mean over `draws` times,
    spread evenly over log kappa, by torch's global generator."""
    total = x0.new_zeros(len(x0), dtype=torch.float64)
    for draw in range(draws):
        u = (draw + torch.rand_like(total)) / draws
        t, eps = path.time(FIRST * (LAST / FIRST) ** u).to(x0.dtype), torch.randn_like(x0)
        found = denoise(path.at(over(t, x0)).mix(x0, eps), t)[1]
        total += (found - eps).double().square().flatten(1).sum(1) / draws
    return total


def variational_bound(path: Path, denoise: Denoiser, x0: Tensor, levels: int, draws: int = 16) -> Tensor:
    """Estimate [N], by `draws` times, of a lower bound of log p(x_0) in nats, x_0 [N, ...] in [-1, 1] if it has
    `levels`: that of the ddpm sampler with ever more steps, which cost the squared error of the noise in log kappa."""
    mean, _ = noisy_start(path, denoise, x0, torch.randn_like(x0))
    steps = _WAY * denoising_error(path, denoise, x0, draws)
    ratio = (LAST / _RADIUS) ** 2
    divergence = (ratio + (x0.double() / _RADIUS).square() - 1 - math.log(ratio)).flatten(1).sum(1) / 2
    return log_level(x0, mean, FIRST, levels) - steps - divergence


def equation_log_prob(path: Path, denoise: Denoiser, x0: Tensor, levels: int, steps: int = 50) -> Tensor:
    """log p(x_0) [N] in nats, x_0 [N, ...], of what the deterministic sampler gives in many steps; the trace is exact.
    Of x_0 in [-1, 1] with `levels`, an estimate of a bound, as the trace is estimated."""
    if not levels:
        return log_density(path, denoise, x0, steps, None)
    eps, probe = torch.randn_like(x0), torch.randint_like(x0, 2) * 2 - 1
    mean, y = noisy_start(path, denoise, x0, eps)
    log_q = log_normal(eps) - x0[0].numel() * math.log(FIRST)
    return log_density(path, denoise, y, steps, probe) - log_q + log_level(x0, mean, FIRST, levels)


def noisy_start(path: Path, denoise: Denoiser, x0: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """What the network makes of y = x_0 + FIRST eps, and y."""
    y, t = x0 + FIRST * eps, path.time(torch.tensor(FIRST, dtype=torch.float64)).item()
    return denoise(path.at(t).alpha * y, t)[0], y


def log_level(x0: Tensor, mean: Tensor, deviation: float, levels: int) -> Tensor:
    """log-probability [N] of x_0 in [-1, 1] with evenly spaced `levels`, where N(mean, deviation^2) is rounded to the
    nearest of them; levels 0: its log-density."""
    x0, mean = x0.double(), mean.double()
    if not levels:
        return log_normal((x0 - mean) / deviation) - x0[0].numel() * math.log(deviation)
    half, distance = 1 / (levels - 1), (x0 - mean).abs()
    nearer = torch.special.log_ndtr((half - distance) / deviation)
    farther = torch.special.log_ndtr((-half - distance) / deviation)
    between = nearer + torch.log1p(-(farther - nearer).exp())
    outward = torch.where(x0 > 0, mean - x0, x0 - mean)  # the outermost levels take the tails
    outermost = torch.special.log_ndtr((half + outward) / deviation)
    return torch.where(x0.abs() > 1 - half, outermost, between).flatten(1).sum(1)
