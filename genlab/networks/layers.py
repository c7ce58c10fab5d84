"""Shared building blocks: the style of a network's layers, and initialization."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.parametrizations import spectral_norm

Activation = Literal["relu", "leaky_relu", "silu"]
Normalization = Literal["none", "batch"]

MOST_LAYERS = 1000
"""Maximum number of layers of one kind in a network: even tiny layers take memory and time."""

INITIAL_DEVIATION = 0.02
"""Standard deviation of initial convolution weights, as in DCGAN and CycleGAN."""


class Stack(nn.Module):
    """A network that applies the layers of its `body` in turn."""

    body: nn.Sequential

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v of queries, keys and values [..., T, D]."""
    if q.device.type == "cpu" and q.requires_grad:  # where torch's own has slow gradients, in bfloat16 very slow ones
        return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
    return scaled_dot_product_attention(q, k, v)


@dataclass(frozen=True)
class Style:
    """How the layers of a network are made; networks take these as options `style`.

    activation: after every hidden layer; the leaky one has slope 0.2, as in DCGAN (Radford et al. 2016).
    dropout: probability at which single features, or whole channels of images, are dropped.
    spectral: divide every weight matrix by its largest singular value (Miyato et al. 2018).
    noise: whether dropout is told which channels to drop, as the noise of what is generated (Isola et al. 2017).
    """

    activation: Activation = "relu"
    normalization: Normalization = "none"
    dropout: float = 0.0
    spectral: bool = False
    noise: bool = False

    def __post_init__(self):
        for key, choices in (("activation", Activation), ("normalization", Normalization)):
            if (value := getattr(self, key)) not in get_args(choices):
                hint = "; network=residual can be conditional" if value == "conditional" else ""
                raise ValueError(f"{key}={value!r}: choose from {', '.join(get_args(choices))}{hint}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: must lie in [0, 1)")

    def weighted(self, layer: nn.Module) -> nn.Module:
        """`layer`, with its weight constrained if `spectral`."""
        return spectral_norm(layer) if self.spectral else layer

    def normalize(self, features: int, dimensions: int = 2) -> list[nn.Module]:
        """Zero or one module that normalizes [N, features, H, W], or [N, features] if `dimensions` is 1."""
        if self.normalization == "none":
            return []
        return [nn.BatchNorm1d(features) if dimensions == 1 else nn.BatchNorm2d(features)]

    def activate(self) -> nn.Module:
        if self.activation == "leaky_relu":
            return nn.LeakyReLU(0.2)
        return nn.SiLU() if self.activation == "silu" else nn.ReLU()

    def drop(self, dimensions: int = 2) -> list[nn.Module]:
        """Zero or one module of dropout."""
        if self.dropout == 0:
            return []
        return [nn.Dropout(self.dropout) if dimensions == 1 else nn.Dropout2d(self.dropout)]

    def after(self, features: int, dimensions: int = 2, normalized: bool = True) -> list[nn.Module]:
        """What follows the weights of a hidden layer: normalization, activation, dropout."""
        return [
            *(self.normalize(features, dimensions) if normalized else []),
            self.activate(),
            *self.drop(dimensions),
        ]

    def hidden(self, in_features: int, out_features: int) -> list[nn.Module]:
        """The modules of a fully connected hidden layer: [N, in_features] -> [N, out_features]."""
        return [self.weighted(nn.Linear(in_features, out_features)), *self.after(out_features, dimensions=1)]


def fix_last_bias(network: nn.Module) -> None:
    """Do not train the bias of the last layer of a network that has a `head`."""
    bias = getattr(getattr(network, "head", None), "bias", None)
    if bias is not None:
        bias.requires_grad_(False)


def check_widths(key: str, widths: Sequence[int]) -> None:
    """`ValueError` unless all `widths`, the value of `key`, are positive and there are at most `MOST_LAYERS`."""
    if any(width < 1 for width in widths):
        raise ValueError(f"{key}={list(widths)}: every width must be at least 1")
    if len(widths) > MOST_LAYERS:
        raise ValueError(f"{key}: {len(widths)} layers, there may be at most {MOST_LAYERS}")


def check_least(least: int, node: str = "model", **values: float) -> None:
    """`ValueError` unless all `values`, of the settings of `node` with these names, are at least `least`."""
    for key, value in values.items():
        if value < least:
            raise ValueError(f"{node}.{key}={value}: must be at least {least}")


def check_sides(height: int, width: int, network: str, otherwise: str = "") -> None:
    """`ValueError` unless both sides of the images are at least 8. otherwise: a way out besides larger images."""
    if min(height, width) < 8:
        raise ValueError(
            f"images of {height}x{width}: the {network} support any height and width of at least 8; use larger images"
            + otherwise
        )


def initialize(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """`layer` with weights from N(0, 0.02^2) and zero bias (Radford, Metz, Chintala 2016, section 3)."""
    if not layer.weight.is_meta:  # it has no values, and torch would import its compiler: a second, and 150 MiB
        nn.init.normal_(layer.weight, std=INITIAL_DEVIATION)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def initialize_all(module: nn.Module) -> None:
    """`initialize` all convolutions of a module."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            initialize(layer)
