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
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from genlab.networks.convolutional import pyramid, pyramid_widths
from genlab.networks.layers import Style
from genlab.networks.network import Network, Shape

_WHOLE = 2**20


class Growing(nn.Module):
    """Part of a pyramid of `sizes`, from the smallest.

    phase: number of the size that images have, a buffer in units of 1 / `_WHOLE`; between two sizes images of both are
    mixed. `grow` sets it. top: the larger of the two sizes. fading: whether there are two.
    """

    phase: Tensor

    def __init__(self, sizes: list[tuple[int, int]]):
        super().__init__()
        self.sizes, self.levels = sizes, len(sizes)
        self.top, self.fading = self.levels - 1, False
        # whole numbers, as the moving average of the weights leaves them alone
        self.register_buffer("phase", torch.tensor(self.top * _WHOLE))
        self.register_load_state_dict_post_hook(lambda module, _: module._settle(int(module.phase)))

    def grow(self, phase: float) -> None:
        """Set the phase, at most that of the largest size."""
        value = round(min(phase, self.levels - 1.0) * _WHOLE)
        self.phase.fill_(value)
        self._settle(value)

    def _settle(self, phase: int) -> None:
        self.top, self.fading = -(-phase // _WHOLE), phase % _WHOLE != 0

    def share(self, like: Tensor) -> Tensor:
        """Share [] of the larger of two sizes."""
        return self.phase.to(like.dtype) / _WHOLE - (self.top - 1)

    def faded(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] with the detail of the phase."""
        seen = resized(x, self.sizes[self.top])
        if self.fading:
            share = self.share(x)
            seen = share * seen + (1 - share) * resized(resized(x, self.sizes[self.top - 1]), self.sizes[self.top])
        return resized(seen, self.sizes[-1])


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [N, C, H, W] at a smaller or larger size: means of pixels, or nearest neighbours."""
    if x.shape[2] >= size[0]:
        return adaptive_avg_pool2d(x, size)
    return interpolate(x, size, mode="nearest")


class ScaleDecoder(Growing):
    """[N, in_features] -> [N, C, H, W], raw outputs: the image of the phase, enlarged. `scales` gives those of all
    sizes, from the smallest."""

    def __init__(self, in_features: int, shape: Shape, network: "MultiScale", **style: Any):
        super().__init__(pyramid(*shape[1:])[::-1])
        layer = Style(**style)
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
        top, features = self.top, self.features(z, self.top)
        x = self.images[top](features[top])
        if self.fading:
            share = self.share(x)
            x = share * x + (1 - share) * resized(self.images[top - 1](features[top - 1]), self.sizes[top])
        return resized(x, self.sizes[-1])


class ScaleEncoder(Growing):
    """[N, C, H, W] -> [N, out_features], from the image at the size of the phase; `read` takes images of all sizes."""

    def __init__(self, shape: Shape, out_features: int, network: "MultiScale", **style: Any):
        super().__init__(pyramid(*shape[1:])[::-1])
        layer = Style(**{"activation": "leaky_relu"} | style)
        widths = pyramid_widths(self.levels, network.channels, network.max_channels)[::-1]
        self.images = nn.ModuleList(layer.weighted(nn.Conv2d(shape[0], width, 1)) for width in widths)
        self.steps = nn.ModuleList(  # from each size, but the smallest, to the next smaller one
            nn.Sequential(layer.weighted(nn.Conv2d(above, width, 3, padding=1)), *layer.after(width, normalized=False))
            for width, above in pairwise(widths)
        )
        dense = layer.weighted(nn.Linear(widths[0] * prod(self.sizes[0]), 4 * widths[0]))
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
        top = self.top
        h = self.images[top](resized(x, self.sizes[top]))
        for level in range(top, 0, -1):
            h = self.down(h, level)
            if level == top and self.fading:
                share = self.share(h)
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
