"""Shared building blocks: activations, normalization, dropout, fully connected layers, initialization."""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["relu", "leaky_relu", "silu"]
Normalization = Literal["none", "batch"]

MOST_LAYERS = 1000
"""Maximum number of layers of one kind in a network: even tiny layers take memory and time."""

INITIAL_DEVIATION = 0.02
"""Standard deviation of initial convolution weights, as in DCGAN and CycleGAN."""


def make_activation(name: Activation) -> nn.Module:
    """The elementwise nonlinearity `name`; the leaky one has slope 0.2, as in DCGAN (Radford et al. 2016)."""
    choices: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.2),
        "silu": nn.SiLU,
    }
    if name not in choices:
        raise ValueError(f"activation={name!r}: choose from {', '.join(choices)}")
    return choices[name]()


def make_normalization(name: Normalization, features: int, dimensions: int) -> list[nn.Module]:
    """Zero or one module that normalizes [N, features] (dimensions=1) or [N, features, H, W] (dimensions=2)."""
    if name == "none":
        return []
    if name == "batch":
        return [nn.BatchNorm1d(features) if dimensions == 1 else nn.BatchNorm2d(features)]
    raise ValueError(f"normalization={name!r}: choose from none, batch")


def make_dropout(probability: float, dimensions: int) -> list[nn.Module]:
    """Zero or one module that drops single features (dimensions=1) or whole channels (dimensions=2)."""
    check_dropout(probability)
    if probability == 0:
        return []
    return [nn.Dropout(probability) if dimensions == 1 else nn.Dropout2d(probability)]


def check_dropout(probability: float) -> None:
    """`ValueError` unless `probability` is in [0, 1)."""
    if not 0 <= probability < 1:
        raise ValueError(f"dropout={probability}: must lie in [0, 1)")


def check_widths(key: str, widths: Sequence[int]) -> None:
    """`ValueError` unless all `widths`, the value of `key`, are positive and there are at most `MOST_LAYERS`."""
    if any(width < 1 for width in widths):
        raise ValueError(f"{key}={list(widths)}: every width must be at least 1")
    if len(widths) > MOST_LAYERS:
        raise ValueError(f"{key}: {len(widths)} layers, there may be at most {MOST_LAYERS}")


def constrained(layer: nn.Module, spectral: bool) -> nn.Module:
    """`layer`, with W / sigma_max(W) in place of its weight if `spectral` (Miyato et al. 2018)."""
    return spectral_norm(layer) if spectral else layer


def hidden_layer(
    in_features: int,
    out_features: int,
    activation: Activation,
    normalization: Normalization = "none",
    dropout: float = 0.0,
    spectral: bool = False,
) -> list[nn.Module]:
    """The modules of a fully connected layer: [N, in_features] -> [N, out_features]."""
    return [
        constrained(nn.Linear(in_features, out_features), spectral),
        *make_normalization(normalization, out_features, dimensions=1),
        make_activation(activation),
        *make_dropout(dropout, dimensions=1),
    ]


def initialize(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """`layer` with weights from N(0, 0.02^2) and zero bias (Radford, Metz, Chintala 2016, section 3)."""
    nn.init.normal_(layer.weight, std=INITIAL_DEVIATION)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
