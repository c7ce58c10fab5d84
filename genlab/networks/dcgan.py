"""DCGAN's networks (`network=dcgan`): 4x4 convolutions without biases, from a square image to a point and back.

Convolutions with stride 2 and padding 1 halve the side until it is 4; a 4x4 one without padding then reduces it to a
single point. Transposed convolutions mirror this. Every layer is normalized except the encoder's first, where that
would hide brightness and contrast, and the last one.

Reference: Radford, Metz, Chintala 2016, Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks, https://arxiv.org/abs/1511.06434
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from genlab.networks.convolutional import pyramid_widths
from genlab.networks.layers import Stack, Style, initialize
from genlab.networks.network import Network, Shape


def halvings(height: int, width: int) -> int:
    """Number of halvings until the side of the image is 4."""
    levels = height.bit_length() - 3
    if height != width or height < 8 or height != 4 * 2**levels:
        raise ValueError(
            f"images of {height}x{width}: the dcgan networks support squares with a side of 8, 16, 32, 64 and so on "
            "(4 * 2^k); choose such a size, as in dataset.size=32, or network=conv"
        )
    return levels


class DCGANEncoder(Stack):
    """Square images to vectors, the discriminator of DCGAN: [N, C, H, H] -> [N, out_features], raw outputs.

    channels: output channels of the first layer; they double with every layer, up to `max_channels`.
    """

    def __init__(self, shape: Shape, out_features: int, channels: int = 64, max_channels: int = 512, **style: Any):
        super().__init__()
        layer = Style(**{"activation": "leaky_relu", "normalization": "batch"} | style)
        widths = [shape[0], *pyramid_widths(halvings(*shape[1:]), channels, max_channels)]

        layers: list[nn.Module] = []
        for width, next_width in pairwise(widths):
            downward = nn.Conv2d(width, next_width, kernel_size=4, stride=2, padding=1, bias=False)
            layers += [
                layer.weighted(initialize(downward)),
                *layer.after(next_width, normalized=bool(layers)),
            ]
        head = nn.Conv2d(widths[-1], out_features, kernel_size=4, bias=False)
        self.body = nn.Sequential(*layers, layer.weighted(initialize(head)), nn.Flatten())


class DCGANDecoder(Stack):
    """Vectors to square images, the generator of DCGAN: [N, in_features] -> [N, C, H, H], raw outputs (logits).

    channels: input channels of the last layer; the layers are `DCGANEncoder`'s in reverse.
    """

    def __init__(self, in_features: int, shape: Shape, channels: int = 64, max_channels: int = 512, **style: Any):
        super().__init__()
        layer = Style(**{"normalization": "batch"} | style)
        widths = pyramid_widths(halvings(*shape[1:]), channels, max_channels)[::-1]

        def block(upward: nn.ConvTranspose2d) -> list[nn.Module]:
            return [layer.weighted(initialize(upward)), *layer.after(upward.out_channels)]

        layers = block(nn.ConvTranspose2d(in_features, widths[0], kernel_size=4, bias=False))
        for width, next_width in pairwise(widths):
            layers += block(nn.ConvTranspose2d(width, next_width, kernel_size=4, stride=2, padding=1, bias=False))
        last = nn.ConvTranspose2d(widths[-1], shape[0], kernel_size=4, stride=2, padding=1, bias=False)
        self.body = nn.Sequential(nn.Unflatten(1, (in_features, 1, 1)), *layers, layer.weighted(initialize(last)))


@dataclass(frozen=True)
class DCGAN(Network):
    """channels: of the layers next to the image; they double at each halving, up to `max_channels`."""

    channels: int = 64
    max_channels: int = 512

    name: ClassVar[str] = "dcgan"

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> DCGANEncoder:
        self.check_shape(shape)
        return DCGANEncoder(shape, out_features, self.channels, self.max_channels, **style)

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> DCGANDecoder:
        self.check_shape(shape)
        return DCGANDecoder(in_features, shape, self.channels, self.max_channels, **style)
