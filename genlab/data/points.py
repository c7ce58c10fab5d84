"""Rendered mixtures of Gaussians in one and two dimensions, with exact densities, and the base of all rendered points.

The mixtures `ring` and `grid` are those on which mode collapse is measured; their protocol counts the modes that 2,500
samples cover, and the samples within three standard deviations of a mode.

References:
    PacGAN: The power of two samples in generative adversarial networks (Lin, Khetan, Fanti, Oh, 2018), for ring and
    grid, https://arxiv.org/abs/1712.04086
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.data.checks import LEAST_SCALE, MOST_SCALE, check_moments, check_range, check_scale
from genlab.data.source import SPLITS, ArrayExamples, Examples, Modes, Source
from genlab.system import memory
from genlab.system.seeding import mix

NUM_TRAIN, NUM_VALIDATION = 50_000, 10_000

_MOST_PARTS = 10_000  # modes, at most
_SLICE = 2**22  # distances held at once


class RenderedPoints(Source):
    """Base: `x` float32 [N, D], and `label` int64 [N] if there are `parts`, drawn anew for each split from `seed`."""

    kind: ClassVar[str] = "points"
    may_provide = frozenset({"x", "label"})

    def __init__(
        self,
        centre: Sequence[float],
        scale: Sequence[float],
        num_train: int,
        num_validation: int,
        seed: int,
        parts: int = 0,
    ):
        for key, value in (("num_train", num_train), ("num_validation", num_validation)):
            check_range(key, value, 1)
        check_range("seed", seed, 0)
        for entry, (mean, deviation) in enumerate(zip(centre, scale, strict=True), 1):
            check_moments(f"dataset: entry {entry} of the points", mean, deviation, "bring the points nearer to 0")
        self.seed, self.sizes = seed, {"train": num_train, "validation": num_validation}
        what = f"dataset: {num_train + num_validation} points need"
        memory.check(40 * len(centre) * (num_train + num_validation), what, "ask for fewer points")
        label = {"label": Field("label", size=parts)} if parts else {}
        points = Field("points", (len(centre),), centre=tuple(centre), scale=tuple(scale))
        self.spec = DataSpec({"x": points, **label}, num_examples=num_train)

    def open(self, split: str) -> list[Examples]:
        generator = torch.Generator().manual_seed(mix(self.seed, SPLITS.index(split)))
        x, label = self.draw(self.sizes[split], generator)
        return [ArrayExamples(x=x, **({"label": label} if "label" in self.spec else {}))]

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` points float32 [count, D], and the part int64 [count] that each belongs to."""


@dataclass
class Gaussians:
    """A mixture of isotropic Gaussians: p(x) = sum_m weights_m N(x; centres_m, deviations_m^2 I).

    weights, deviations: [M]; centres: [M, D]. Called with x [N, D], it gives log p(x) [N], in nats.
    """

    weights: Tensor
    centres: Tensor
    deviations: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        weights, centres, deviations = (v.to(x) for v in (self.weights, self.centres, self.deviations))
        normalizer = weights.log() - x.shape[1] * (deviations * (2 * pi) ** 0.5).log()
        rows = x.split(max(1, _SLICE // centres.numel()))
        # Divided before they are squared: squares of small distances are 0 in float32.
        squares = (((part[:, None] - centres) / deviations[:, None]).square().sum(2) for part in rows)
        parts = [(normalizer - square / 2).logsumexp(1) for square in squares]
        return torch.cat(parts) if parts else x.new_zeros(0)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.centres.shape[1], generator=generator)
        return self.centres[mode] + self.deviations[mode, None] * noise, mode

    def moments(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each entry of x."""
        weights, centres = self.weights[:, None].double(), self.centres.double()
        mean = (weights * centres).sum(0)
        variance = (weights * ((centres - mean).square() + self.deviations[:, None].double().square())).sum(0)
        return mean.tolist(), variance.sqrt().tolist()


class Mixture(RenderedPoints):
    """Base of the mixtures of Gaussians; the label of a point is its mode."""

    def __init__(self, mixture: Gaussians, num_train: int, num_validation: int, seed: int):
        super().__init__(*mixture.moments(), num_train, num_validation, seed, parts=len(mixture.weights))
        self.mixture = self.log_density = mixture
        self.modes = Modes(mixture.centres, mixture.deviations)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.mixture.draw(count, generator)


class Mixture1d(Mixture):
    """A mixture of Gaussians on the line.

    centres, deviations, weights: of the modes, lists of equal length; the weights may have any positive sum.
    """

    def __init__(
        self,
        *,
        centres: Sequence[float] = (-2.0, 0.6, 2.6),
        deviations: Sequence[float] = (0.35, 0.7, 0.25),
        weights: Sequence[float] = (0.35, 0.45, 0.2),
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        check_range("centres (their number)", len(centres), 1, _MOST_PARTS)
        for key, values in (("centres", centres), ("deviations", deviations), ("weights", weights)):
            if len(values) != len(centres):
                raise ValueError(
                    f"dataset.{key}={list(values)}: dataset.centres has {len(centres)} modes; give one for each"
                )
        for centre, deviation in zip(centres, deviations, strict=True):
            check_range("centres", centre, -MOST_SCALE, MOST_SCALE)
            check_scale(deviations=deviation)
        shares = torch.tensor(list(weights), dtype=torch.float64)
        shares = shares / shares.sum()
        if not bool((shares >= LEAST_SCALE).all()):  # also rejects NaN
            raise ValueError(
                f"dataset.weights={list(weights)}: must be positive numbers, each {LEAST_SCALE:g} of their sum or more"
            )
        mixture = Gaussians(
            shares.float(), torch.tensor(list(centres))[:, None].float(), torch.tensor(list(deviations)).float()
        )
        super().__init__(mixture, num_train, num_validation, seed)


class Ring(Mixture):
    """`modes` Gaussians of equal weight, evenly spaced on a circle about 0.

    deviation: standard deviation of each mode along each axis.
    """

    def __init__(
        self,
        *,
        modes: int = 8,
        radius: float = 1.0,
        deviation: float = 0.01,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        check_range("modes", modes, 1, _MOST_PARTS)
        check_scale(radius=radius, deviation=deviation)
        angle = 2 * pi * torch.arange(modes) / modes
        centres = radius * torch.stack([angle.cos(), angle.sin()], 1)
        super().__init__(_equal(centres, deviation), num_train, num_validation, seed)


class Grid(Mixture):
    """`side` x `side` Gaussians of equal weight on a square grid about 0, neighbours `spacing` apart.

    deviation: standard deviation of each mode along each axis.
    """

    def __init__(
        self,
        *,
        side: int = 5,
        spacing: float = 2.0,
        deviation: float = 0.05,
        num_train: int = NUM_TRAIN,
        num_validation: int = NUM_VALIDATION,
        seed: int = 0,
    ):
        check_range("side", side, 1, int(_MOST_PARTS**0.5))
        check_scale(spacing=spacing, deviation=deviation)
        along = spacing * (torch.arange(side) - (side - 1) / 2)
        super().__init__(_equal(torch.cartesian_prod(along, along), deviation), num_train, num_validation, seed)


def _equal(centres: Tensor, deviation: float) -> Gaussians:
    count = len(centres)
    return Gaussians(torch.full((count,), 1 / count), centres, torch.full((count,), float(deviation)))
