"""Normalizing flows of images: an invertible network maps images to latents with a standard normal distribution.

References:
- Dinh, Sohl-Dickstein, Bengio 2017, Density estimation using Real NVP, https://arxiv.org/abs/1605.08803
- Kingma and Dhariwal 2018, Glow: Generative Flow with Invertible 1x1 Convolutions, https://arxiv.org/abs/1807.03039
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import Batch, DataSpec, select
from genlab.contract.model import Grid, Update
from genlab.models.exact_likelihood import DequantisationName, Flow
from genlab.networks.invertible import MixingName, MultiScale
from genlab.networks.layers import check_least

_MARGIN = 1e-5  # of [0, 1], cut off at both ends before the logit
_DEVIATION = 4.0  # about that of logits of pixels: networks begin near 1
_INVERTED = 8  # examples of a batch whose inverse a validation checks
_STEPS = 8  # of an interpolation


class ImageFlow(Flow):
    """p(x) or, if `conditional` and the data have labels, p(x | label) of images x [N, C, H, W]; see `Flow`.

    levels: of the multi-scale network; both sides must be multiples of 2^levels. layers: couplings of a level.
    channels: of their networks. mixing: "conv" (Glow) or "masks" (Real NVP), see `MultiScale`.
    """

    kinds = frozenset({"image"})
    averaged: ClassVar[tuple[str, ...]] = ("network", *Flow.averaged)

    def __init__(
        self,
        data: DataSpec,
        *,
        levels: int = 2,
        layers: int = 8,
        channels: int = 48,
        mixing: MixingName = "conv",
        conditional: bool = False,
        dequantisation: DequantisationName = "uniform",
    ):
        check_least(1, levels=levels, layers=layers, channels=channels)
        _check_sides(data.shape, levels)
        super().__init__(data, conditional, dequantisation, _MARGIN, 1 / _DEVIATION)
        self.network = MultiScale(data.shape, levels, layers, channels, mixing, self.features.size)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        nats = self.measured(batch).mean()
        yield Update("model", self.bits_per_dim(nats), {"log_likelihood": nats})

    def to_noise(self, y: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        out = self.network(y, features)
        return out[:, :-1], out[:, -1]

    def from_noise(self, z: Tensor, features: Tensor | None) -> Tensor:
        return self.network(z, features, inverse=True)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """log_likelihood in nats, bits_per_dim, and inverse_error, the largest of some pixels in [0, 1]."""
        some = batch["x"][:_INVERTED]
        back = self.reconstruct(some, select(self.condition(batch), slice(_INVERTED)))
        return super().evaluate(batch) | {"inverse_error": (back - some).abs().max()}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Samples, and interpolations between examples, one a row."""
        return {**super().preview(batch), "interpolations": self._interpolations(batch)}

    def _interpolations(self, batch: Batch) -> Grid:
        """From an example to the next one, under the condition of the first: cos(t) a + sin(t) b is
        as normal as a and b."""
        x, condition = batch["x"][: 2 * _STEPS], select(self.condition(batch), slice(2 * _STEPS))
        z = self.encode(x, condition)
        t = torch.linspace(0, math.pi / 2, _STEPS, device=z.device, dtype=z.dtype)[:, None]
        paths = t.cos() * z[::2, None] + t.sin() * z.roll(-1, 0)[::2, None]
        given = select(condition, torch.arange(0, len(x), 2, device=z.device).repeat_interleave(_STEPS))
        return Grid(self.decode(paths.flatten(0, 1), given).unflatten(0, (len(paths), _STEPS)))


def _check_sides(shape: tuple[int, ...], levels: int) -> None:
    """`ValueError` unless images of this shape can be halved `levels` times."""
    *_, height, width = shape
    if height % 2**levels or width % 2**levels:
        most = next(k for k in range(levels, -1, -1) if not (height % 2**k or width % 2**k))
        size = 2**levels * math.ceil(min(height, width) / 2**levels)
        fewer = f"model.levels={most}, or " if most else ""
        raise ValueError(
            f"model.levels={levels}: images of {height}x{width} cannot be halved so often; choose {fewer}images of "
            f"another size, as in dataset.size={size}"
        )
