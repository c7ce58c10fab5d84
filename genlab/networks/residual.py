"""Residual blocks between an image and a vector (`network=residual`), the networks of SNGAN, SAGAN and BigGAN.

A block of the decoder enlarges by nearest neighbours, one of the encoder takes means of 2x2 pixels; sides are those of
`network=conv`. Features of one size may attend to each other. The decoder can be normalized by a condition: features
of a block are scaled and shifted by an embedding of the class, which all blocks share, and by a part of the noise.

References:
- Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, https://arxiv.org/abs/1802.05957
- Zhang, Goodfellow, Metaxas, Odena 2019, Self-Attention Generative Adversarial Networks,
  https://arxiv.org/abs/1805.08318
- Brock, Donahue, Simonyan 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis,
  https://arxiv.org/abs/1809.11096 (orthogonal initialization, hierarchical noise, shared embedding)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from genlab.networks.convolutional import pyramid, pyramid_widths
from genlab.networks.layers import Style, attend, check_least
from genlab.networks.network import Network, Shape


def orthogonal(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """`layer` with orthogonal weights and zero bias."""
    if not layer.weight.is_meta:  # it has no values
        nn.init.orthogonal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class SelfAttention(nn.Module):
    """x + gain * attention of all pixels to all pixels, [N, C, H, W]; the gain is 0 at first."""

    def __init__(self, channels: int, layer: Style):
        super().__init__()
        self.sizes = [max(1, channels // 8)] * 2 + [max(1, channels // 2)]  # of queries, keys and values
        self.inward = layer.weighted(orthogonal(nn.Conv2d(channels, sum(self.sizes), 1)))
        self.out = layer.weighted(orthogonal(nn.Conv2d(self.sizes[2], channels, 1)))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.inward(x).flatten(2).transpose(1, 2).split(self.sizes, 2)
        return x + self.gain * self.out(attend(q, k, v).transpose(1, 2).unflatten(2, x.shape[2:]))


class ConditionalNorm(nn.Module):
    """Batch normalization, then the scale and shift that a condition [N, F] leads to: [N, C, H, W] -> [N, C, H, W]."""

    def __init__(self, channels: int, features: int, layer: Style):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.told = layer.weighted(orthogonal(nn.Linear(features, 2 * channels, bias=False)))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.told(condition)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * (1 + scale) + shift


class PlainNorm(nn.Module):
    """The normalization of a style, whatever the condition."""

    def __init__(self, channels: int, layer: Style):
        super().__init__()
        self.body = nn.Sequential(*layer.normalize(channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.body(x)


class UpBlock(nn.Module):
    """[N, in, h, w] and a condition [N, F] to [N, out, *size]."""

    def __init__(self, channels: tuple[int, int], size: tuple[int, int], layer: Style, features: int | None):
        super().__init__()
        self.size, self.activate = size, layer.activate()
        self.norms = nn.ModuleList(
            PlainNorm(width, layer) if features is None else ConditionalNorm(width, features, layer)
            for width in channels
        )
        self.first = layer.weighted(orthogonal(nn.Conv2d(*channels, 3, padding=1)))
        self.second = layer.weighted(orthogonal(nn.Conv2d(channels[1], channels[1], 3, padding=1)))
        self.across = layer.weighted(orthogonal(nn.Conv2d(*channels, 1)))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = interpolate(self.activate(self.norms[0](x, condition)), self.size, mode="nearest")
        h = self.second(self.activate(self.norms[1](self.first(h), condition)))
        return h + interpolate(self.across(x), self.size, mode="nearest")


class DownBlock(nn.Module):
    """[N, in, h, w] to [N, out, h // 2, w // 2]; the first one begins with a convolution, as images are no features."""

    def __init__(self, channels: tuple[int, int], layer: Style, first: bool):
        super().__init__()
        before = [] if first else [layer.activate()]
        middle = layer.weighted(orthogonal(nn.Conv2d(*channels, 3, padding=1)))
        last = layer.weighted(orthogonal(nn.Conv2d(channels[1], channels[1], 3, padding=1)))
        self.body = nn.Sequential(*before, middle, layer.activate(), *layer.drop(), last)
        self.across = layer.weighted(orthogonal(nn.Conv2d(*channels, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(self.body(x), 2) + self.across(avg_pool2d(x, 2))


class ResidualEncoder(nn.Module):
    """Images to vectors: [N, C, H, W] -> [N, out_features], from the sum of the smallest features over the image."""

    def __init__(self, shape: Shape, out_features: int, network: "Residual", **style: Any):
        super().__init__()
        layer, sizes = Style(**{"activation": "relu"} | style), pyramid(*shape[1:])
        widths = [shape[0], *pyramid_widths(len(sizes) - 1, network.channels, network.max_channels)]
        layers: list[nn.Module] = []
        for level, channels in enumerate(pairwise(widths)):
            layers.append(DownBlock(channels, layer, first=not layers))
            layers += network.attending(sizes[level + 1], channels[1], layer)
        self.body = nn.Sequential(*layers, layer.activate())
        self.head = layer.weighted(orthogonal(nn.Linear(widths[-1], out_features)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).sum((2, 3)))


class ResidualDecoder(nn.Module):
    """Vectors to images: [N, in_features] -> [N, C, H, W], raw outputs. told: how many of the inputs, the last ones,
    are a condition; with normalization=conditional they and a part of the others condition each block."""

    def __init__(self, in_features: int, shape: Shape, network: "Residual", told: int = 0, **style: Any):
        super().__init__()
        conditional = style.get("normalization") == "conditional"
        layer = Style(**style | ({"normalization": "batch"} if conditional else {}))
        sizes = pyramid(*shape[1:])
        widths = pyramid_widths(len(sizes) - 1, network.channels, network.max_channels)
        widths = [widths[0], *widths][::-1]
        noise, self.told, blocks = in_features - told, told, len(sizes) - 1
        # of the noise: an equal part for each block, the rest for the smallest features
        self.parts = [noise - blocks * (noise // (blocks + 1)), *[noise // (blocks + 1)] * blocks]
        self.embedding = orthogonal(nn.Linear(told, network.channels, bias=False)) if conditional and told else None
        features = self.parts[1] + (network.channels if told else 0) if conditional else None
        if features == 0:
            raise ValueError(
                f"model.latent_dim={noise}: normalization=conditional gives each of {blocks} blocks a part of the "
                f"noise; choose at least {blocks + 1}"
            )
        self.conditional, self.smallest = conditional, (widths[0], *sizes[-1])
        start = self.parts[0] if conditional else in_features
        self.first = layer.weighted(orthogonal(nn.Linear(start, widths[0] * sizes[-1][0] * sizes[-1][1])))
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleList()
        for channels, size in zip(pairwise(widths), sizes[-2::-1], strict=True):
            self.blocks.append(UpBlock(channels, size, layer, features))
            self.attention.append(nn.Sequential(*network.attending(size, channels[1], layer)))
        last = Style(**style | {"normalization": "batch"}) if conditional else layer
        self.last = nn.Sequential(*last.normalize(widths[-1]), layer.activate())
        self.image = layer.weighted(orthogonal(nn.Conv2d(widths[-1], shape[0], 3, padding=1)))

    def conditions(self, x: Tensor) -> Iterator[Tensor]:
        """What the smallest features, and then each block, are told of inputs [N, in_features]."""
        if not self.conditional:
            yield from [x] * (len(self.blocks) + 1)
            return
        noise, told = x.split([x.shape[1] - self.told, self.told], 1)
        first, *parts = noise.split(self.parts, 1)
        yield first
        shared = [self.embedding(told)] if self.embedding is not None else []
        for part in parts:
            yield torch.cat([part, *shared], 1)

    def forward(self, x: Tensor) -> Tensor:
        conditions = self.conditions(x)
        h = self.first(next(conditions)).unflatten(1, self.smallest)
        for block, attention, condition in zip(self.blocks, self.attention, conditions, strict=True):
            h = attention(block(h, condition))
        return self.image(self.last(h))


@dataclass(frozen=True)
class Residual(Network):
    """channels: of the features next to the image; they double at each halving, up to `max_channels`.
    attention: features of which size attend to each other, by their smaller side: the largest that is at most this.
    """

    channels: int = 32
    max_channels: int = 256
    attention: int = 0

    name: ClassVar[str] = "residual"
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_least(0, "network", attention=self.attention)

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> ResidualEncoder:
        self.check_shape(shape)
        return ResidualEncoder(shape, out_features, self, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> ResidualDecoder:
        self.check_shape(shape)
        return ResidualDecoder(in_features, shape, self, **style)

    def attending(self, size: tuple[int, int], channels: int, layer: Style) -> list[SelfAttention]:
        """Attention for features of this size, if it is theirs."""
        return [SelfAttention(channels, layer)] if self.attention // 2 < min(size) <= self.attention else []
