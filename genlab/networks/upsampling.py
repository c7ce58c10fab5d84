"""A generator that upsamples before each convolution, and a discriminator to match (`network=upsampling`).

Transposed convolutions with unevenly overlapping kernels cause checkerboard artifacts; nearest-neighbour upsampling and
a 3x3 convolution with stride 1 do not. There are two such steps, so sides must be multiples of 4. The discriminator
halves the image four times, rounding up, and applies dropout before normalization.

References:
    Odena, Dumoulin, Olah 2016, Deconvolution and Checkerboard Artifacts, https://doi.org/10.23915/distill.00003
    Radford, Metz, Chintala 2016, Unsupervised Representation Learning with DCGANs, https://arxiv.org/abs/1511.06434
        (batch normalization of all layers except the one next to the image; initial weights)
"""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from typing import Any, ClassVar

from torch import nn

from genlab.networks.convolutional import pyramid_widths
from genlab.networks.layers import Stack, Style, initialize
from genlab.networks.network import Network, Shape

LEVELS = 4
"""Number of strided convolutions of the encoder."""


def quarter(height: int, width: int) -> tuple[int, int]:
    """Size of the decoder's first feature maps."""
    if height % 4 or width % 4:
        raise ValueError(
            f"images of {height}x{width}: the upsampling networks support heights and widths that are multiples of 4; "
            "choose such a size, as in dataset.size=32, or network=conv"
        )
    return height // 4, width // 4


class StridedEncoder(Stack):
    """Images to vectors: [N, C, H, W] -> [N, out_features], raw outputs, for any H, W.

    channels: output channels of the first layer; they double with every layer, up to `max_channels`.
    """

    def __init__(self, shape: Shape, out_features: int, channels: int = 16, max_channels: int = 256, **style: Any):
        super().__init__()
        layer = Style(**{"activation": "leaky_relu", "normalization": "batch"} | style)
        height, width = (ceil(side / 2**LEVELS) for side in shape[1:])
        widths = [shape[0], *pyramid_widths(LEVELS, channels, max_channels)]

        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            downward = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1)
            layers += [
                layer.weighted(initialize(downward)),
                layer.activate(),
                *layer.drop(),
                *(layer.normalize(out_channels) if layers else []),
            ]
        head = nn.Linear(widths[-1] * height * width, out_features)
        self.body = nn.Sequential(*layers, nn.Flatten(), layer.weighted(head))


class UpsamplingDecoder(Stack):
    """Vectors to images: [N, in_features] -> [N, C, H, W], raw outputs (logits), for H, W that are multiples of 4.

    channels, max_channels: the widths are those of `StridedEncoder`'s last two layers in reverse: 8 * channels at a
    quarter and at half the size, 4 * channels at the full size.
    """

    def __init__(self, in_features: int, shape: Shape, channels: int = 16, max_channels: int = 256, **style: Any):
        super().__init__()
        layer = Style(**{"activation": "leaky_relu", "normalization": "batch"} | style)
        *_, narrow, wide = pyramid_widths(LEVELS, channels, max_channels)
        smallest = (wide, *quarter(*shape[1:]))

        layers: list[nn.Module] = [
            layer.weighted(nn.Linear(in_features, prod(smallest))),
            nn.Unflatten(1, smallest),
            *layer.normalize(wide),
        ]
        for width, next_width in pairwise((wide, wide, narrow)):
            layers += [
                nn.Upsample(scale_factor=2),
                layer.weighted(initialize(nn.Conv2d(width, next_width, kernel_size=3, padding=1))),
                *layer.after(next_width),
            ]
        last = nn.Conv2d(narrow, shape[0], kernel_size=3, padding=1)
        self.body = nn.Sequential(*layers, layer.weighted(initialize(last)))


@dataclass(frozen=True)
class Upsampling(Network):
    """channels: output channels of the encoder's first layer; they double with every layer, up to `max_channels`."""

    channels: int = 16
    max_channels: int = 256

    name: ClassVar[str] = "upsampling"

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> StridedEncoder:
        self.check_shape(shape)
        return StridedEncoder(shape, out_features, self.channels, self.max_channels, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> UpsamplingDecoder:
        self.check_shape(shape)
        return UpsamplingDecoder(in_features, shape, self.channels, self.max_channels, **style)
