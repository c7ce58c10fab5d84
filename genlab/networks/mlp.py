"""Fully connected networks (`network=mlp`), for points and for small images.

The first hidden layer has no normalization and no dropout: they would hide the scale and parts of the input from later
layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi, prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from genlab.networks.layers import Style, check_widths
from genlab.networks.network import Network, Shape

_WAVES = (1.5, 3.0, 6.0, 12.0)
"""Radians for each unit of standardized points."""

_FREQUENCIES = (0.25, 0.5, 1.0, 2.0)
"""Oscillations, between the times 0 and 1, of what a denoiser is told of the time."""


class MLP(nn.Module):
    """Linear layers with nonlinearities between them: [N, in_features] -> [N, out_features], raw outputs.

    style: options of `Style`; normalization and dropout are those of all hidden layers except the first.
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, **style: Any):
        super().__init__()
        layer = Style(**style)
        first = replace(layer, normalization="none", dropout=0.0)
        layers: list[nn.Module] = []
        width = in_features
        for next_width in hidden:
            layers += (layer if layers else first).hidden(width, next_width)
            width = next_width
        self.body = nn.Sequential(*layers)
        self.head = layer.weighted(nn.Linear(width, out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class MLPEncoder(MLP):
    """An MLP that reads examples of any shape: [N, *shape] -> [N, out_features]."""

    def __init__(self, shape: Shape, out_features: int, hidden: Sequence[int] = (512, 256), **style: Any):
        super().__init__(prod(shape), hidden, out_features, **style)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class MLPDecoder(MLP):
    """An MLP that generates examples of any shape: [N, in_features] -> [N, *shape], raw outputs (logits)."""

    def __init__(self, in_features: int, shape: Shape, hidden: Sequence[int] = (256, 512), **style: Any):
        super().__init__(in_features, hidden, prod(shape), **style)
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(1, self.shape)


class MLPDenoiser(nn.Module):
    """An MLP that sees x [N, *shape], times [N] in [0, 1] and features [N, F]: -> [N, *shape].

    Of points it sees waves as well, so that it finds edges (Tancik et al. 2020, Fourier Features Let Networks Learn
    High Frequency Functions in Low Dimensional Domains, https://arxiv.org/abs/2006.10739); of times the logit, as what
    is to be predicted changes fastest near 0.
    """

    frequencies: Tensor

    def __init__(self, shape: Shape, features: int, hidden: Sequence[int]):
        super().__init__()
        size, self.waves = prod(shape), _WAVES if len(shape) == 1 else ()
        inputs = size * (1 + 2 * len(self.waves)) + 2 * len(_FREQUENCIES) + 1 + features
        self.body = MLP(inputs, hidden, 2 * size, activation="silu")
        self.register_buffer("frequencies", 2 * pi * torch.tensor(_FREQUENCIES), persistent=False)

    def forward(self, x: Tensor, t: Tensor, features: Tensor | None = None) -> Tensor:
        flat, angles = x.flatten(1), t[:, None] * self.frequencies
        waves = [wave(frequency * flat) for frequency in self.waves for wave in (torch.sin, torch.cos)]
        times = [angles.cos(), angles.sin(), t.logit(1e-4)[:, None] / 4]
        told = [] if features is None else [features]
        shift, scale = self.body(torch.cat([flat, *waves, *times, *told], 1)).chunk(2, 1)
        return (shift + scale * flat).view_as(x)


@dataclass(frozen=True)
class FullyConnected(Network):
    """hidden: widths of the encoder's hidden layers. decoder_hidden: of the decoder's; None for the same in reverse."""

    hidden: Sequence[int] = (512, 512)
    decoder_hidden: Sequence[int] | None = None

    name: ClassVar[str] = "mlp"
    images_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_widths("network.hidden", self.hidden)
        check_widths("network.decoder_hidden", self.decoder_hidden or ())

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> MLPEncoder:
        return MLPEncoder(shape, out_features, self.hidden, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> MLPDecoder:
        mirrored = self.hidden[::-1] if self.decoder_hidden is None else self.decoder_hidden
        return MLPDecoder(in_features, shape, mirrored, **style)

    def denoiser(self, shape: Shape, features: int = 0) -> MLPDenoiser:
        return MLPDenoiser(shape, features, self.hidden)
