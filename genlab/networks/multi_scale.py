"""A pyramid whose features have images at every size (`network=multi-scale`), for GANs that grow or read all sizes.

The decoder turns features of every size into an image by a 1x1 convolution, the encoder takes in images of every size
by another, whose result is added to the features of that size. Sides are those of `network=conv`.

References:
- Karras, Aila, Laine, Lehtinen 2018, Progressive Growing of GANs, https://arxiv.org/abs/1710.10196
- Karnewar, Wang 2020, MSG-GAN: Multi-Scale Gradients for Generative Adversarial Networks,
  https://arxiv.org/abs/1903.06048
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from genlab.networks.convolutional import pyramid, pyramid_widths
from genlab.networks.layers import Style
from genlab.networks.network import Network, Shape

_WHOLE = 2**20


class Growing(nn.Module):
    """Part of a pyramid of `levels` sizes, 0 the smallest.

    phase: of which size images are, a buffer; between two sizes images of both are mixed. `grow` sets it.
    """

    phase: Tensor

    def __init__(self, levels: int):
        super().__init__()
        self.levels = levels
        self.known: float | None = None
        # whole numbers, as the moving average of the weights leaves them alone
        self.register_buffer("phase", torch.tensor((levels - 1) * _WHOLE))

    def grow(self, phase: float) -> None:
        """Set the phase, at most `levels` - 1."""
        self.known = min(phase, self.levels - 1.0)
        self.phase.fill_(round(self.known * _WHOLE))

    def size_now(self) -> float:
        """The phase, which after loading is read from the buffer."""
        return int(self.phase) / _WHOLE if self.known is None else self.known


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [N, C, H, W] at a smaller or larger size: means of pixels, or nearest neighbours."""
    if x.shape[2] >= size[0]:
        return adaptive_avg_pool2d(x, size)
    return interpolate(x, size, mode="nearest")


class ScaleDecoder(Growing):
    """[N, in_features] -> [N, C, H, W], raw outputs: the image of the phase, enlarged. `scales` gives those of all
    sizes, from the smallest."""

    def __init__(self, in_features: int, shape: Shape, network: "MultiScale", **style: Any):
        sizes = pyramid(*shape[1:])[::-1]
        super().__init__(len(sizes))
        self.sizes, layer = sizes, Style(**style)
        widths = pyramid_widths(self.levels, network.channels, network.max_channels)[::-1]
        smallest = (widths[0], *self.sizes[0])
        self.first = nn.Sequential(
            layer.weighted(nn.Linear(in_features, prod(smallest))), nn.Unflatten(1, smallest), *layer.after(widths[0])
        )
        self.steps = nn.ModuleList(
            nn.Sequential(layer.weighted(nn.Conv2d(*channels, 3, padding=1)), *layer.after(channels[1]))
            for channels in pairwise(widths)
        )
        self.images = nn.ModuleList(layer.weighted(nn.Conv2d(width, shape[0], 1)) for width in widths)

    def features(self, z: Tensor, most: int) -> list[Tensor]:
        """Of each size up to the one numbered `most`."""
        found = [self.first(z)]
        for step, size in zip(self.steps[:most], self.sizes[1:], strict=False):
            found.append(step(resized(found[-1], size)))
        return found

    def scales(self, z: Tensor) -> list[Tensor]:
        features = self.features(z, self.levels - 1)
        return [image(found) for image, found in zip(self.images, features, strict=True)]

    def forward(self, z: Tensor) -> Tensor:
        phase = self.size_now()
        top = ceil(phase)
        features, share = self.features(z, top), phase - top + 1  # of the larger of two sizes
        x = self.images[top](features[top])
        if share < 1:
            x = share * x + (1 - share) * resized(self.images[top - 1](features[top - 1]), self.sizes[top])
        return resized(x, self.sizes[-1])


class ScaleEncoder(Growing):
    """[N, C, H, W] -> [N, out_features], from the image at the size of the phase; `read` takes images of all sizes."""

    def __init__(self, shape: Shape, out_features: int, network: "MultiScale", **style: Any):
        sizes = pyramid(*shape[1:])[::-1]
        super().__init__(len(sizes))
        self.sizes, layer = sizes, Style(**{"activation": "leaky_relu"} | style)
        widths = pyramid_widths(self.levels, network.channels, network.max_channels)[::-1]
        self.images = nn.ModuleList(layer.weighted(nn.Conv2d(shape[0], width, 1)) for width in widths)
        self.steps = nn.ModuleList(  # from each size, but the smallest, to the next smaller one
            nn.Sequential(layer.weighted(nn.Conv2d(above, width, 3, padding=1)), *layer.after(width, normalized=False))
            for width, above in pairwise(widths)
        )
        dense = layer.weighted(nn.Linear(widths[0] * prod(sizes[0]), 4 * widths[0]))
        self.body = nn.Sequential(nn.Flatten(), dense, layer.activate())
        self.head = layer.weighted(nn.Linear(4 * widths[0], out_features))

    def down(self, h: Tensor, level: int) -> Tensor:
        """Features of the size numbered `level` to those of the next smaller one."""
        return resized(self.steps[level - 1](h), self.sizes[level - 1])

    def read(self, images: Sequence[Tensor]) -> Tensor:
        """Images of all sizes, from the smallest."""
        h = self.images[-1](images[-1])
        for level in range(self.levels - 1, 0, -1):
            h = self.down(h, level) + self.images[level - 1](images[level - 1])
        return self.head(self.body(h))

    def forward(self, x: Tensor) -> Tensor:
        phase = self.size_now()
        top = ceil(phase)
        share = phase - top + 1
        h = self.images[top](resized(x, self.sizes[top]))
        for level in range(top, 0, -1):
            h = self.down(h, level)
            if level == top and share < 1:
                h = share * h + (1 - share) * self.images[level - 1](resized(x, self.sizes[level - 1]))
        return self.head(self.body(h))


@dataclass(frozen=True)
class MultiScale(Network):
    """channels: of the features of the size of the image; they double at each halving, up to `max_channels`."""

    channels: int = 32
    max_channels: int = 256

    name: ClassVar[str] = "multi-scale"

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> ScaleEncoder:
        self.check_shape(shape)
        return ScaleEncoder(shape, out_features, self, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> ScaleDecoder:
        self.check_shape(shape)
        return ScaleDecoder(in_features, shape, self, **style)
