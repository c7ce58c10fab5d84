"""Rendered points on curved shapes in the plane: moons, a roll, a pinwheel, a checkerboard.

References:
    Composing graphical models with neural networks for structured representations and fast inference (Johnson,
    Duvenaud, Wiltschko, Datta, Adams, 2016), for the pinwheel, https://arxiv.org/abs/1603.06277
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from genlab.data.checks import check_range, check_scale
from genlab.data.points import NUM_TRAIN, NUM_VALIDATION, RenderedPoints

_MOST_ARMS, _MOST_CELLS = 1000, 1000


class Curves(RenderedPoints):
    """Base: points spread along curves, with Gaussian noise of standard deviation `noise` along each axis.

    curves: from positions [N], uniform in [0, 1), to points [N, 2]; each has an equal share of the points.
    """

    def __init__(
        self, curves: list[Callable[[Tensor], Tensor]], noise: float, num_train: int, num_validation: int, seed: int
    ):
        check_range("noise", noise, 0, 1e6)
        self.curves, self.noise = curves, noise
        position = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
        dense = torch.cat([curve(position) for curve in curves])
        centre, scale = dense.mean(0), (dense.var(0, correction=0) + noise**2).sqrt()
        parts = len(curves) if len(curves) > 1 else 0
        super().__init__(centre.tolist(), scale.tolist(), num_train, num_validation, seed, parts)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        part = torch.randint(len(self.curves), (count,), generator=generator)
        position = torch.rand(count, generator=generator)
        on_curves = torch.stack([curve(position) for curve in self.curves])
        noise = torch.randn(count, 2, generator=generator)
        return on_curves[part, torch.arange(count)] + self.noise * noise, part


class Moons(Curves):
    """Two interleaved half circles of radius 1; the label says which."""

    def __init__(
        self,
        *,
        noise: float = 0.1,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        super().__init__([_upper_moon, _lower_moon], noise, num_train, num_validation, seed)


def _upper_moon(position: Tensor) -> Tensor:
    angle = pi * position
    return torch.stack([angle.cos(), angle.sin()], -1)


def _lower_moon(position: Tensor) -> Tensor:
    angle = pi * position
    return torch.stack([1 - angle.cos(), 0.5 - angle.sin()], -1)


class SwissRoll(Curves):
    """A spiral of one and a half turns: t (cos t, sin t) / 5 with t uniform in [1.5 pi, 4.5 pi]."""

    def __init__(
        self,
        *,
        noise: float = 0.1,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        super().__init__([_roll], noise, num_train, num_validation, seed)


def _roll(position: Tensor) -> Tensor:
    angle = 1.5 * pi * (1 + 2 * position)
    return angle[..., None] / 5 * torch.stack([angle.cos(), angle.sin()], -1)


class Pinwheel(RenderedPoints):
    """Gaussians around a centre, each stretched along its radius and twisted into an arm; the label is the arm.

    arms: their number. length, width: standard deviations along and across the radius, before the twist, about a
        distance of 1 from the centre. twist: angle in radians per unit of the distance from the centre.
    """

    def __init__(
        self,
        *,
        arms: int = 5,
        length: float = 0.3,
        width: float = 0.05,
        twist: float = 1.5,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        check_range("arms", arms, 3, _MOST_ARMS)
        check_scale(length=length, width=width)
        check_range("twist", twist, -100, 100)
        self.shape = self.log_density = Twisted(arms, length, width, twist)
        # Three or more arms, evenly spaced, have the same variance in all directions: E|x|^2 / 2.
        scale = ((1 + length**2 + width**2) / 2) ** 0.5
        super().__init__([0.0, 0.0], [scale, scale], num_train, num_validation, seed, parts=arms)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.shape.draw(count, generator)


@dataclass
class Twisted:
    """The density of a pinwheel, see `Pinwheel`. Called with x [N, 2], it gives log p(x) [N], in nats.

    A twist rotates each point by an angle that depends on its distance from the centre alone, so it changes no area:
    p(x) is the density of the untwisted point.
    """

    arms: int
    length: float
    width: float
    twist: float

    def __call__(self, x: Tensor) -> Tensor:
        straight = self._turned(x, -self.twist * x.norm(dim=1))
        angles = 2 * pi * torch.arange(self.arms) / self.arms
        along, across = zip(*(self._turned(straight, -angle).unbind(1) for angle in angles), strict=True)
        squares = ((torch.stack(along) - 1) / self.length).square() + (torch.stack(across) / self.width).square()
        return (-squares / 2).logsumexp(0) - log(self.arms * 2 * pi * self.length * self.width)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        arm = torch.randint(self.arms, (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        flat = torch.stack([1 + self.length * noise[:, 0], self.width * noise[:, 1]], 1)
        return self._turned(flat, 2 * pi * arm / self.arms + self.twist * flat.norm(dim=1)), arm

    @staticmethod
    def _turned(x: Tensor, angle: Tensor) -> Tensor:
        """Points [N, 2], rotated about 0 by an angle, [N] or a scalar."""
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], 1)


class Checkerboard(RenderedPoints):
    """Uniform on the dark squares of a board of `cells` x `cells` squares about 0.

    cells: even. side: of a square.
    """

    def __init__(
        self,
        *,
        cells: int = 4,
        side: float = 2.0,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        check_range("cells", cells, 2, _MOST_CELLS)
        if cells % 2:
            raise ValueError(f"dataset.cells={cells}: must be even, so that half of the squares are dark")
        check_scale(side=side)
        self.shape = self.log_density = Squares(cells, side)
        # Each row and each column has as many dark squares as the others, so x_1 and x_2 are uniform on their own.
        scale = cells * side / 12**0.5
        super().__init__([0.0, 0.0], [scale, scale], num_train, num_validation, seed)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.shape.draw(count, generator)


@dataclass
class Squares:
    """The density of a checkerboard. Called with x [N, 2], it gives log p(x) [N], in nats: -inf on light squares."""

    cells: int
    side: float

    def __call__(self, x: Tensor) -> Tensor:
        column, row = (x / self.side + self.cells / 2).floor().unbind(1)
        inside = (column >= 0) & (column < self.cells) & (row >= 0) & (row < self.cells)
        dark = inside & ((column + row) % 2 == 0)
        log_density = -log(self.cells**2 / 2 * self.side**2)
        return torch.where(dark, torch.full_like(column, log_density), torch.full_like(column, -torch.inf))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        dark = torch.randint(self.cells**2 // 2, (count,), generator=generator)
        row = 2 * dark // self.cells
        column = 2 * dark % self.cells + row % 2
        corner = torch.stack([column, row], 1) - self.cells / 2
        return self.side * (corner + torch.rand(count, 2, generator=generator)), dark
