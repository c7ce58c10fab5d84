"""Fully connected networks, for points and for small images.

The first hidden layer has no normalization and no dropout: they would hide the scale and parts of the input from later
layers.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from torch import Tensor, nn

from genlab.contract.data import ImageShape
from genlab.networks.layers import Style, check_widths


class MLP(nn.Module):
    """Linear layers with nonlinearities between them: [N, in_features] -> [N, out_features], raw outputs.

    style: options of `Style`; normalization and dropout are those of all hidden layers except the first.
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int, **style: Any):
        super().__init__()
        check_widths("hidden", hidden)
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
    """An MLP that reads images: [N, C, H, W] -> [N, out_features]."""

    def __init__(self, shape: ImageShape, out_features: int, hidden: Sequence[int] = (512, 256), **style: Any):
        super().__init__(prod(shape), hidden, out_features, **style)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class MLPDecoder(MLP):
    """An MLP that generates images: [N, in_features] -> [N, C, H, W], raw outputs (logits, not in [0, 1])."""

    def __init__(self, in_features: int, shape: ImageShape, hidden: Sequence[int] = (256, 512), **style: Any):
        super().__init__(in_features, hidden, prod(shape), **style)
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(1, self.shape)
