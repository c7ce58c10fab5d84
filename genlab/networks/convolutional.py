"""A pyramid of strided convolutions and its mirror image (`network=conv`), for images of any size from 8x8.

The layers follow DCGAN (Radford, Metz, Chintala 2016, https://arxiv.org/abs/1511.06434): 4x4 kernels, stride 2,
padding 1, no pooling. Such a convolution maps a side h to floor(h / 2); this repeats until the smaller side is in 4..7
(28 -> 14 -> 7, 16 -> 8 -> 4, 28x20 -> 14x10 -> 7x5). A transposed one maps h to 2h + output_padding, so
output_padding = (target side) mod 2 restores odd sides exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from torch import Tensor, nn

from genlab.networks.layers import Stack, Style, check_sides, check_widths
from genlab.networks.network import Network, Shape


def pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from (height, width) down to the smallest feature map, each half the previous one (rounded down)."""
    check_sides(height, width, "convolutional networks", " or network=mlp")
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def pyramid_widths(levels: int, channels: int, max_channels: int) -> list[int]:
    """Channels of each level below the image: doubling, up to `max_channels`."""
    if not 1 <= channels <= max_channels:
        raise ValueError(
            f"network.channels={channels}, network.max_channels={max_channels}: need 1 <= channels <= max_channels"
        )
    return [min(channels * 2**level, max_channels) for level in range(levels)]


class ConvEncoder(Stack):
    """Images to vectors: [N, C, H, W] -> [N, out_features], raw outputs.

    dense: widths of fully connected layers after the smallest feature maps; these layers see the whole image.
    The first layer is never normalized: that would hide brightness and contrast from all later layers.
    """

    def __init__(
        self,
        shape: Shape,
        out_features: int,
        channels: int = 32,
        max_channels: int = 256,
        dense: Sequence[int] = (),
        **style: Any,
    ):
        super().__init__()
        layer = Style(**{"activation": "leaky_relu"} | style)
        width, sizes = shape[0], pyramid(*shape[1:])
        layers: list[nn.Module] = []
        for level, next_width in enumerate(pyramid_widths(len(sizes) - 1, channels, max_channels)):
            layers += [
                layer.weighted(nn.Conv2d(width, next_width, kernel_size=4, stride=2, padding=1)),
                *layer.after(next_width, normalized=level > 0),
            ]
            width = next_width
        layers.append(nn.Flatten())
        width *= prod(sizes[-1])
        for next_width in dense:
            layers += layer.hidden(width, next_width)
            width = next_width
        self.body = nn.Sequential(*layers)
        self.head = layer.weighted(nn.Linear(width, out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(super().forward(x))


class ConvDecoder(Stack):
    """Vectors to images, the mirror of `ConvEncoder`: [N, in_features] -> [N, C, H, W], raw outputs (logits).

    dense: widths of fully connected layers before the smallest feature maps.
    """

    def __init__(
        self,
        in_features: int,
        shape: Shape,
        channels: int = 32,
        max_channels: int = 256,
        dense: Sequence[int] = (),
        **style: Any,
    ):
        super().__init__()
        layer = Style(**style)
        sizes = pyramid(*shape[1:])
        widths = [shape[0], *pyramid_widths(len(sizes) - 1, channels, max_channels)]

        smallest = (widths[-1], *sizes[-1])
        layers: list[nn.Module] = []
        for next_features in dense:
            layers += layer.hidden(in_features, next_features)
            in_features = next_features
        layers += [
            layer.weighted(nn.Linear(in_features, prod(smallest))),
            nn.Unflatten(1, smallest),
            *layer.after(widths[-1]),
        ]
        for level in range(len(sizes) - 1, 0, -1):
            upward = nn.ConvTranspose2d(
                widths[level],
                widths[level - 1],
                kernel_size=4,
                stride=2,
                padding=1,
                output_padding=(sizes[level - 1][0] % 2, sizes[level - 1][1] % 2),
            )
            layers += [layer.weighted(upward), *(layer.after(widths[level - 1]) if level > 1 else [])]
        self.body = nn.Sequential(*layers)


@dataclass(frozen=True)
class Convolutional(Network):
    """channels: output channels of the encoder's first layer, doubled at each downsampling, up to `max_channels`.
    dense: widths of fully connected layers after the encoder's feature maps. decoder_dense: before the decoder's; None
    for the same in reverse.
    """

    channels: int = 32
    max_channels: int = 256
    dense: Sequence[int] = ()
    decoder_dense: Sequence[int] | None = None

    name: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        check_widths("network.dense", self.dense)
        check_widths("network.decoder_dense", self.decoder_dense or ())

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> ConvEncoder:
        self.check_shape(shape)
        return ConvEncoder(shape, out_features, self.channels, self.max_channels, self.dense, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> ConvDecoder:
        self.check_shape(shape)
        mirrored = self.dense[::-1] if self.decoder_dense is None else self.decoder_dense
        return ConvDecoder(in_features, shape, self.channels, self.max_channels, mirrored, **style)
