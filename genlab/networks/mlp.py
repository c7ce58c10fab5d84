"""Fully connected networks, for points and for small images.

All take the same options: `hidden` widths, `activation`, `normalization` of the hidden layers, `dropout` after
them, and `spectral`, which divides every weight matrix by its largest singular value (Miyato et al. 2018). The first
hidden layer has no normalization and no dropout: they would hide the scale and parts of the input from later layers.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from genlab.networks.layers import Activation, Normalization, check_dropout, check_widths, constrained, hidden_layer


class MLP(nn.Module):
    """Linear layers with nonlinearities between them: [N, in_features] -> [N, out_features], raw outputs.

    normalization, dropout: of all hidden layers except the first.
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
        check_widths("hidden", hidden)
        check_dropout(dropout)
        layers: list[nn.Module] = []
        width = in_features
        for next_width in hidden:
            regularization = (normalization, dropout) if layers else ("none", 0.0)
            layers += hidden_layer(width, next_width, activation, *regularization, spectral)
            width = next_width
        self.num_features = width
        self.body = nn.Sequential(*layers)
        self.head = constrained(nn.Linear(width, out_features), spectral)

    def features(self, x: Tensor) -> Tensor:
        """Input of the last layer: [N, in_features] -> [N, num_features]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class MLPEncoder(MLP):
    """An MLP that reads images: [N, C, H, W] -> [N, out_features]."""

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
        """Input of the last layer: [N, C, H, W] -> [N, num_features]."""
        return super().features(x.flatten(1))


class MLPDecoder(MLP):
    """An MLP that generates images: [N, in_features] -> [N, C, H, W], raw outputs (logits, not in [0, 1])."""

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
