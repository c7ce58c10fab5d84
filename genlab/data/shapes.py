"""Rendered shapes with known factors of variation, to measure disentanglement.

Every image shows one white shape on black and is determined by five independent factors: shape, scale, orientation,
and position along x and y. The grid of factors follows the datasets of the beta-VAE papers. Images, shapes and numbers
of values differ, so results are not comparable with theirs.

References:
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al., 2017)
    https://openreview.net/forum?id=Sy2fzU9gl
    Isolating Sources of Disentanglement in Variational Autoencoders (Chen, Li, Grosse, Duvenaud, 2018)
    https://arxiv.org/abs/1802.04942
"""

from math import pi, sqrt

import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.data.cache import cached
from genlab.data.checks import check_range
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory
from genlab.system.seeding import mix

FACTORS = ("shape", "scale", "orientation", "x", "y")
LARGEST = 0.22
"""Radius of the circle around a shape of scale 1, as a fraction of the image side; positions keep it inside."""


MOST_VALUES = 10_000
"""Maximum number of values of a factor."""

_CELL_BYTES, _FACTOR_BYTES = 8, 100  # memory per grid cell, and for the factors of each image
_SLICE = 2**24  # pixels rendered at once


class Shapes(Source):
    """Squares, ellipses and hearts: `x` uint8 [N, 1, size, size], `label` the shape (0, 1, 2), `factors` [N, 5].

    size: height and width in pixels, 16 or more.
    num_scales: values between 0.5 and 1.
    num_orientations: values between 0 (included) and a full turn (excluded). A square looks the same after a quarter
        turn and an ellipse after a half turn, so an image does not fully determine the orientation.
    num_positions: values along each axis; 1 centres every shape.
    num_images: images drawn from the full grid with `seed`; None takes all 3 * scales * orientations * positions^2.
    antialias: smooth edges; False gives black or white pixels only.

    `factors` is float32: shape in {0, 1, 2}, scale in [0.5, 1], orientation in [0, 2 pi) (clockwise), and x and y in
    [0, 1] between the outermost positions (left to right, top to bottom).
    """

    categorical_factors = (FACTORS.index("shape"),)

    def __init__(
        self,
        *,
        size: int = 32,
        num_scales: int = 6,
        num_orientations: int = 16,
        num_positions: int = 12,
        num_images: int | None = None,
        antialias: bool = True,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        check_range("size", size, 16)
        label = Field("label", size=len(SHAPES), names=tuple(shape.__name__ for shape in SHAPES))
        factors = Field("factors", (len(FACTORS),), names=FACTORS)
        self.spec = DataSpec({"x": Field("image", (1, size, size)), "label": label, "factors": factors})
        for key, value in (("scales", num_scales), ("orientations", num_orientations), ("positions", num_positions)):
            check_range(f"num_{key}", value, 1, MOST_VALUES)
        self.values = (
            torch.arange(len(SHAPES), dtype=torch.float32),
            torch.linspace(1, 0.5, num_scales).flip(0),
            torch.arange(num_orientations) * (2 * pi / num_orientations),
            *[torch.linspace(0, 1, num_positions) if num_positions > 1 else torch.tensor([0.5])] * 2,
        )
        grid = len(SHAPES) * num_scales * num_orientations * num_positions**2
        if num_images is not None:
            check_range("num_images", num_images, 2, grid)
        memory.check(
            grid * _CELL_BYTES + (num_images or grid) * (size**2 + _FACTOR_BYTES),
            f"dataset: {num_images or grid} images of {size}x{size} from a grid of {grid} need",
            "ask for fewer, as in dataset.num_positions=8",
        )
        self.grid, self.num_images, self.antialias = grid, num_images or grid, antialias
        self.validation_fraction, self.seed = validation_fraction, seed
        self.sizes = split_sizes(self.num_images, validation_fraction)

    def open(self, split: str) -> list[Examples]:
        request = {
            "shapes": [len(values) for values in self.values],
            "x": self.spec.shape,
            "num_images": self.num_images,
            "antialias": self.antialias,
            "validation_fraction": self.validation_fraction,
            "seed": self.seed,
            "split": split,
        }
        return [ArrayExamples(**cached(request, [], lambda: self._render(split)))]

    def _render(self, split: str) -> dict[str, Tensor]:
        cells = torch.arange(self.grid)
        if self.num_images < self.grid:
            cells = torch.randperm(self.grid, generator=torch.Generator().manual_seed(mix(self.seed)))
            cells = cells[: self.num_images].sort().values
        cells = cells[split_rows(self.num_images, self.validation_fraction, self.seed)[split]]
        index = torch.unravel_index(cells, tuple(len(values) for values in self.values))
        factors = torch.stack([values[position] for values, position in zip(self.values, index, strict=True)], dim=1)
        images = render(factors, self.spec.shape[-1], self.antialias)
        return {"x": images, "label": factors[:, 0].long(), "factors": factors}


def square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - sqrt(0.5)


def ellipse(x: Tensor, y: Tensor) -> Tensor:
    """Axes 1 and 0.55. First-order distance: the implicit function over the length of its gradient."""
    y = y / 0.55
    radius = torch.hypot(x, y)
    return radius * (radius - 1) / torch.hypot(x, y / 0.55).clamp(min=1e-6)


def heart(x: Tensor, y: Tensor) -> Tensor:
    """A square standing on a corner, with a disc on each of its upper sides."""
    half, lift = 0.5606, 0.2074  # the circle around this heart is the unit circle
    across, down = x * sqrt(0.5), (y - lift) * sqrt(0.5)
    u, v = across - down, -across - down  # along the two upper sides
    box = torch.maximum(u.abs(), v.abs()) - half
    discs = torch.minimum(torch.hypot(u - half, v), torch.hypot(u, v - half)) - half
    return torch.minimum(box, discs)


SHAPES = (square, ellipse, heart)
"""Signed distances to an outline that fits into the unit circle: negative inside, y pointing down."""


def render(factors: Tensor, size: int, antialias: bool = True) -> Tensor:
    """Images of `factors` [N, 5] (see `Shapes`): uint8 [N, 1, size, size], white shapes on black."""
    images = torch.empty(len(factors), 1, size, size, dtype=torch.uint8)
    pixels = torch.arange(size) + 0.5
    for kind, distance in enumerate(SHAPES):
        for rows in (factors[:, 0] == kind).nonzero()[:, 0].split(max(1, min(512, _SLICE // size**2))):
            scale, turn, x, y = factors[rows, 1:, None, None].unbind(1)
            radius = LARGEST * size * scale
            x, y = (size * (LARGEST + (1 - 2 * LARGEST) * place) for place in (x, y))
            right, down = (pixels - x) / radius, (pixels[:, None] - y) / radius
            cos, sin = turn.cos(), turn.sin()
            inside = -radius * distance(cos * right + sin * down, cos * down - sin * right)
            coverage = (inside + 0.5).clamp(0, 1) if antialias else (inside > 0).float()
            images[rows, 0] = (255 * coverage).round().byte()
    return images
