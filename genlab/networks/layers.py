"""Small choices that every network shares: activations, normalizations, spectral normalization."""

from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["relu", "leaky_relu", "silu"]
Normalization = Literal["none", "batch"]

MOST_LAYERS = 1000
"""Of one kind in a network: each takes memory and time before its weights do."""


def make_activation(name: Activation) -> nn.Module:
    """The elementwise nonlinearity `name`; the leaky one has slope 0.2, as in DCGAN (Radford et al. 2016)."""
    choices = {
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
    """Zero or one module that drops single features (dimensions=1) or whole maps (dimensions=2)."""
    if not 0 <= probability < 1:
        raise ValueError(f"dropout={probability}: must lie in [0, 1)")
    if probability == 0:
        return []
    return [nn.Dropout(probability) if dimensions == 1 else nn.Dropout2d(probability)]


def constrained(layer: nn.Module, spectral: bool) -> nn.Module:
    """`layer`, with W / sigma_max(W) in place of its weight if `spectral` (Miyato et al. 2018)."""
    return spectral_norm(layer) if spectral else layer
