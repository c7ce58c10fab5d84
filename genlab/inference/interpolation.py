"""Paths between two latents: straight lines, or arcs on the sphere where normal noise concentrates.

References:
- Shoemake 1985, Animating Rotation with Quaternion Curves, https://doi.org/10.1145/325334.325242
- White 2016, Sampling Generative Networks, https://arxiv.org/abs/1609.04468 (for latents)
"""

from math import pi

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

_PARALLEL = 1e-6
"""Two latents span no plane if the sine of the angle between them is below this."""


def linear(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """z(t) = (1 - t) a + t b for a, b [N, L] and t [S]: [N, S, L]."""
    t = times[:, None].to(start)
    return (1 - t) * start[:, None] + t * end[:, None]


def spherical(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """Rotate from a to b at constant angular speed while the norm changes linearly from |a| to |b|: [N, S, L].

    z(t) = r(t) (cos(t omega) u + sin(t omega) w), r(t) = (1 - t) |a| + t |b|, where u is the direction of a, w the
    direction of the part of b orthogonal to a, and omega the angle between a and b. For |a| = |b| this is Shoemake's
    (sin((1 - t) omega) a + sin(t omega) b) / sin(omega), without dividing by a small number. Opposite latents span no
    plane: they rotate through the coordinate axis that is farthest from both.
    """
    a, b, t = start.double(), end.double(), times[:, None].double()
    u = normalize(a, dim=1)
    along = (u * b).sum(1, keepdim=True)
    across = b - along * u
    parallel = across.norm(dim=1, keepdim=True) <= _PARALLEL * b.norm(dim=1, keepdim=True)
    axis = one_hot(u.abs().argmin(1), u.shape[1]).to(u)
    w = normalize(torch.where(parallel, axis - (u * axis).sum(1, keepdim=True) * u, across), dim=1)
    omega = torch.atan2((w * b).sum(1, keepdim=True), along)[:, None]
    r = linear(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), times)
    return (r * ((t * omega).cos() * u[:, None] + (t * omega).sin() * w[:, None])).to(start)


PATHS = {"spherical": spherical, "linear": linear}


def walk(start: Tensor, end: Tensor, times: Tensor, path: str) -> Tensor:
    """Latents [N, S, L] between `start` [N, L] and `end` [N, L] at `times` [S] in [0, 1]. path: a key of `PATHS`."""
    if path not in PATHS:
        raise ValueError(f"path={path}: must be one of {', '.join(PATHS)}")
    return PATHS[path](start, end, times)


def even(steps: int) -> Tensor:
    """Evenly spaced times from 0 to 1, [steps]."""
    return torch.linspace(0, 1, steps)


def smooth(steps: int) -> Tensor:
    """Times from 0 to 1 with slow ends, [steps]: an animation that plays forth and back does not jerk."""
    return (1 - (pi * even(steps)).cos()) / 2
