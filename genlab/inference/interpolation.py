"""Ways from one latent to another, straight or along the sphere on which normal noise lies.

References:
- Shoemake 1985, Animating Rotation with Quaternion Curves, https://doi.org/10.1145/325334.325242
- White 2016, Sampling Generative Networks, https://arxiv.org/abs/1609.04468 (for latents)
"""

from math import pi

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

_PARALLEL = 1e-6
"""Sine of the angle below which two latents name no plane to turn in."""


def linear(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """z(t) = (1 - t) a + t b for a, b [N, L] and t [S]: [N, S, L]."""
    t = times[:, None].to(start)
    return (1 - t) * start[:, None] + t * end[:, None]


def spherical(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """Turn from a to b at constant speed while the length goes evenly from |a| to |b|: [N, S, L].

    z(t) = r(t) (cos(t omega) u + sin(t omega) w), r(t) = (1 - t) |a| + t |b|, where u is the direction of a, w that
    of the part of b at a right angle to it, and omega the angle between a and b. For |a| = |b| this is Shoemake's
    (sin((1 - t) omega) a + sin(t omega) b) / sin(omega), but it divides by no small number. Latents that point into
    opposite directions name no plane: they turn through the axis that is farthest from both.
    """
    a, b, t = start.double(), end.double(), times[:, None].double()
    u = normalize(a, dim=1)
    along = (u * b).sum(1, keepdim=True)
    across = b - along * u
    lost = across.norm(dim=1, keepdim=True) <= _PARALLEL * b.norm(dim=1, keepdim=True)
    axis = one_hot(u.abs().argmin(1), u.shape[1]).to(u)
    w = normalize(torch.where(lost, axis - (u * axis).sum(1, keepdim=True) * u, across), dim=1)
    omega = torch.atan2((w * b).sum(1, keepdim=True), along)[:, None]
    r = linear(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), times)
    return (r * ((t * omega).cos() * u[:, None] + (t * omega).sin() * w[:, None])).to(start)


PATHS = {"spherical": spherical, "linear": linear}


def walk(start: Tensor, end: Tensor, times: Tensor, path: str) -> Tensor:
    """Latents [N, S, L] at `times` [S], 0 to 1, on the `path` of that name from `start` [N, L] to `end` [N, L]."""
    if path not in PATHS:
        raise ValueError(f"path={path}: must be one of {', '.join(PATHS)}")
    return PATHS[path](start, end, times)


def even(steps: int) -> Tensor:
    """Times 0 to 1 at equal distances, [steps]."""
    return torch.linspace(0, 1, steps)


def smooth(steps: int) -> Tensor:
    """Times 0 to 1 that start and end slowly, [steps]: an animation that turns back shows no jerk."""
    return (1 - (pi * even(steps)).cos()) / 2
