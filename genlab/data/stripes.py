"""Rendered unpaired domains with known ground-truth translations: plain shapes and striped shapes.

Domain a holds circles, squares and triangles in one light colour on a dark background. In domain b, shapes of the same
distribution are filled with diagonal stripes. The stripes are fixed in image coordinates, so every image has exactly
one counterpart in the other domain. Translations can thus be scored pixel by pixel, which unpaired photographs do not
allow. Training images of the two domains are drawn independently.

References:
    Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, Isola, Efros, 2017)
    https://arxiv.org/abs/1703.10593
"""

from math import pi
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.data.cache import cached
from genlab.data.checks import check_choice, check_range, check_table
from genlab.data.images import LUMINANCE
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.system.seeding import mix

GROUND, LIGHT, MIDDLE = ((20, 28, 64), (248, 228, 164), (224, 88, 72))
"""RGB of the background, of plain shapes and light stripes, and of the stripes in between."""

SIDES = (3.0, 4.0, 64.0)
"""Sides of the regular polygons; 64 sides look like a circle at any image size used here."""


_PAIRS = (("a", "b"), ("b", "a"))  # a domain and the other one
_NUMBER_BYTES = 12  # memory per channel value while colours are blended
_SLICE = 2**24  # pixels drawn at once, counted per shape


class Stripes(Source):
    """Domains "a" (plain) and "b" (striped), uint8 [N, channels, size, size].

    size: height and width in pixels, 16 or more.
    channels: 3, or 1 for the luminance of the same colours.
    num_train, num_validation: images per domain.
    max_shapes: every image holds 1 to this many shapes, which may overlap.
    period: of the stripes, in pixels along a row; even.

    The validation tables also hold the ground truth: {"a", "a_as_b"} and {"b", "b_as_a"}.
    """

    paired: ClassVar[bool] = False

    def __init__(
        self,
        *,
        size: int = 32,
        channels: int = 3,
        num_train: int = 2000,
        num_validation: int = 200,
        max_shapes: int = 3,
        period: int = 4,
        seed: int = 0,
    ):
        check_range("size", size, 16)
        check_choice("channels", channels, (1, 3))
        self.spec = DataSpec({domain: Field("image", (channels, size, size)) for domain in "ab"}, self.paired)
        check_range("num_train", num_train, 1)
        check_range("num_validation", num_validation, 1)
        check_range("max_shapes", max_shapes, 1, 100)
        check_choice("period", period, tuple(range(2, size // 2 + 1, 2)))
        self.max_shapes, self.period, self.seed = max_shapes, period, seed
        self.sizes = {"train": num_train, "validation": num_validation}
        check_table(self.sizes, self.spec.shape, _NUMBER_BYTES)

    def open(self, split: str) -> list[Examples]:
        tables: list[tuple[str, ...]]
        if self.paired:
            tables = [("a", "b")]
        else:
            tables = [(domain,) if split == "train" else (domain, f"{domain}_as_{other}") for domain, other in _PAIRS]
        request = {
            "stripes": self.spec.shape,
            "count": self.sizes[split],
            "max_shapes": self.max_shapes,
            "period": self.period,
            "seed": self.seed,
            "split": split,
            "paired": self.paired,
        }
        fields = cached(request, [], lambda: self._draw(split))
        return [ArrayExamples(**{name: fields[name] for name in table}) for table in tables]

    def _draw(self, split: str) -> dict[str, Tensor]:
        fields = {}
        for domain, other in _PAIRS:
            generator = torch.Generator().manual_seed(mix(self.seed, SPLITS.index(split), ord(domain)))
            coverage = draw_shapes(self.sizes[split], self.spec.shape[-1], self.max_shapes, generator)
            if self.paired:
                return {name: self._colour(coverage, name) for name in "ab"}
            fields[domain] = self._colour(coverage, domain)
            if split == "validation":
                fields[f"{domain}_as_{other}"] = self._colour(coverage, other)
        return fields

    def _colour(self, coverage: Tensor, domain: str) -> Tensor:
        """Colour the shapes of `coverage` ([N, H, W] in [0, 1]) in the style of `domain`: uint8 [N, C, H, W]."""
        channels, size, _ = self.spec.shape
        ground, light, middle = palette(channels)
        fill = light
        if domain == "b":
            along = torch.arange(size)
            striped = (along[:, None] + along) % self.period >= self.period // 2
            fill = torch.where(striped, middle, light)
        return torch.stack([ground + cover * (fill - ground) for cover in coverage]).round().byte()


class PairedStripes(Stripes):
    """Plain images a with their striped counterparts b, in one table; the settings are those of `Stripes`."""

    paired = True


def palette(channels: int) -> Tensor:
    """Background, light and middle colour, float [3, channels, 1, 1] in 0..255; grey is ITU-R BT.601 luminance."""
    colours = torch.tensor([GROUND, LIGHT, MIDDLE], dtype=torch.float32)
    if channels == 1:
        colours = colours @ torch.tensor(LUMINANCE)[:, None]
    return colours[..., None, None]


def draw_shapes(num_images: int, size: int, max_shapes: int, generator: torch.Generator) -> Tensor:
    """Coverage of each pixel by random shapes, all fully inside the image: float [N, size, size] in [0, 1]."""
    count, radius, x, y, turn, kind = torch.rand(6, num_images, max_shapes, generator=generator)
    radius = 0.14 + 0.12 * radius
    x, y = (radius + (1 - 2 * radius) * centre for centre in (x, y))
    sides = torch.tensor(SIDES)[(kind * len(SIDES)).long()]
    present = torch.arange(max_shapes) < 1 + (count[:, :1] * max_shapes).floor()
    coverage = torch.empty(num_images, size, size)
    pixels = torch.arange(size) + 0.5
    for rows in torch.arange(num_images).split(max(1, min(64, _SLICE // (max_shapes * size**2)))):
        right = pixels - size * x[rows, :, None, None]
        down = pixels[:, None] - size * y[rows, :, None, None]
        # Distance to the nearest edge of a regular polygon: rotate the point into the sector of that edge.
        sector = 2 * pi / sides[rows, :, None, None]
        angle = torch.atan2(down, right) + 2 * pi * turn[rows, :, None, None]
        angle = angle - sector * torch.round(angle / sector)
        inside = size * radius[rows, :, None, None] * (sector / 2).cos() - torch.hypot(right, down) * angle.cos()
        coverage[rows] = ((inside + 0.5).clamp(0, 1) * present[rows, :, None, None]).amax(1)
    return coverage
