"""Fully connected networks, for points and for small pictures.

All take the same options: `hidden` widths, `activation`, `normalization` of the hidden layers, `dropout` behind
them, and `spectral`, which divides every weight matrix by its largest singular value (Miyato et al. 2018).
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from genlab.networks.layers import (
    MOST_LAYERS,
    Activation,
    Normalization,
    constrained,
    make_activation,
    make_dropout,
    make_normalization,
)


class MLP(nn.Module):
    """Linear layers with nonlinearities between them: [N, in_features] -> [N, out_features], raw outputs.

    `features` stops before the last layer: [N, num_features], num_features = hidden[-1].
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: Activation = "relu",
        normalization: Normalization = "none",
        dropout: float = 0.0,
        spectral: bool = False,
    ):
        super().__init__()
        if any(width < 1 for width in hidden):
            raise ValueError(f"hidden={list(hidden)}: every width must be at least 1")
        if len(hidden) > MOST_LAYERS:
            raise ValueError(f"hidden: {len(hidden)} layers, there may be at most {MOST_LAYERS}")
        layers: list[nn.Module] = []
        width = in_features
        for next_width in hidden:
            layers += [
                constrained(nn.Linear(width, next_width), spectral),
                *make_normalization(normalization, next_width, dimensions=1),
                make_activation(activation),
                *make_dropout(dropout, dimensions=1),
            ]
            width = next_width
        self.num_features = width
        self.body = nn.Sequential(*layers)
        self.head = constrained(nn.Linear(width, out_features), spectral)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: [N, in_features] -> [N, num_features]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class MLPEncoder(MLP):
    """An MLP that reads pictures: [N, C, H, W] -> [N, out_features]."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        out_features: int,
        hidden: Sequence[int] = (512, 256),
        activation: Activation = "relu",
        normalization: Normalization = "none",
        dropout: float = 0.0,
        spectral: bool = False,
    ):
        super().__init__(prod(shape), hidden, out_features, activation, normalization, dropout, spectral)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: [N, C, H, W] -> [N, num_features]."""
        return super().features(x.flatten(1))


class MLPDecoder(MLP):
    """An MLP that paints pictures: [N, in_features] -> [N, C, H, W], raw outputs (logits, not in [0, 1])."""

    def __init__(
        self,
        in_features: int,
        shape: tuple[int, int, int],
        hidden: Sequence[int] = (256, 512),
        activation: Activation = "relu",
        normalization: Normalization = "none",
        dropout: float = 0.0,
        spectral: bool = False,
    ):
        super().__init__(in_features, hidden, prod(shape), activation, normalization, dropout, spectral)
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(1, self.shape)
