"""A residual network from images to images of the same size (`network=resnet`).

The generator of Zhu et al. 2017, after Johnson et al. 2016: a 7x7 convolution, two strided ones, residual blocks at a
quarter of the resolution, two transposed convolutions, a 7x7 convolution; instance normalization throughout.
Pixelwise normalization (Karras et al. 2018) is an alternative.

A strided 3x3 convolution with padding 1 maps a side h to ceil(h / 2); the transposed one maps h to
2h - 1 + output_padding, so output_padding = 1 - (target side) mod 2 restores odd sides exactly
(17 -> 9 -> 5 -> 9 -> 17).

References:
    Johnson, Alahi, Fei-Fei 2016, Perceptual Losses for Real-Time Style Transfer, https://arxiv.org/abs/1603.08155
    Zhu, Park, Isola, Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks,
        https://arxiv.org/abs/1703.10593
    Ulyanov, Vedaldi, Lempitsky 2016, Instance Normalization, https://arxiv.org/abs/1607.08022
    Karras, Aila, Laine, Lehtinen 2018, Progressive Growing of GANs, https://arxiv.org/abs/1710.10196 (per pixel)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from genlab.networks.layers import MOST_LAYERS, Stack, Style, check_sides
from genlab.networks.network import Network, Shape

Padding = Literal["zeros", "reflect"]
Upsampling = Literal["transposed", "nearest"]
ImageNormalization = Literal["instance", "pixel"]


class PixelNorm(nn.Module):
    """x / sqrt(mean of x^2 over the channels + epsilon), separately at every pixel: [N, C, H, W] -> [N, C, H, W]."""

    epsilon = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self.epsilon)


def make_image_normalization(name: ImageNormalization, width: int) -> nn.Module:
    """Per-image normalization: over the pixels of each channel ("instance") or the channels of each pixel ("pixel")."""
    choices: dict[str, Callable[[], nn.Module]] = {"instance": lambda: nn.InstanceNorm2d(width), "pixel": PixelNorm}
    if name not in choices:
        raise ValueError(f"network.normalization={name!r}: choose from {', '.join(choices)}")
    return choices[name]()


class ResidualBlock(nn.Module):
    """x + F(x), F two 3x3 convolutions: [N, width, H, W] -> [N, width, H, W]."""

    def __init__(self, width: int, padding: Padding, normalization: ImageNormalization, layer: Style):
        super().__init__()

        def convolution() -> nn.Module:
            return layer.weighted(nn.Conv2d(width, width, kernel_size=3, padding=1, padding_mode=padding))

        self.body = nn.Sequential(
            convolution(),
            make_image_normalization(normalization, width),
            layer.activate(),
            *layer.drop(),
            convolution(),
            make_image_normalization(normalization, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ResNetGenerator(Stack):
    """Images to images: [N, C, H, W] -> [N, out_channels, H, W], raw outputs, for any C and any H, W of at least 8.

    width: output channels of the first layer; they double at each of the two downsamplings.
    blocks: residual blocks at a quarter of the resolution; 6 for 128x128 and 9 for 256x256 in the paper.
    padding: "reflect" avoids border artifacts (the strided layers always pad with zeros);
        "zeros" is faster, and gives the network position information.
    normalization: "instance" removes the style of an image, including how much of each feature it contains; "pixel"
        depends on local content only, so equal patches get equal features in all images.
    upsampling: "transposed" convolutions as in the paper, or "nearest" enlargement and a convolution, which leaves no
        raster of dots (Odena et al. 2016).
    style: options of `Style`, of which normalization has no meaning here; dropout is that of the residual blocks.
    """

    def __init__(
        self,
        shape: Shape,
        out_channels: int,
        width: int = 64,
        blocks: int = 9,
        padding: Padding = "reflect",
        normalization: ImageNormalization = "instance",
        upsampling: Upsampling = "transposed",
        **style: Any,
    ):
        super().__init__()
        layer = Style(**style)
        channels, *size = shape
        check_sides(size[0], size[1], "residual generators")
        if not 0 <= blocks <= MOST_LAYERS:
            raise ValueError(f"network.blocks={blocks}: must be at least 0 and at most {MOST_LAYERS}")
        if padding not in ("zeros", "reflect"):
            raise ValueError(f"network.padding={padding!r}: choose from zeros, reflect")
        if upsampling not in get_args(Upsampling):
            raise ValueError(f"network.upsampling={upsampling!r}: choose from {', '.join(get_args(Upsampling))}")
        half = [(side + 1) // 2 for side in size]

        def upward(in_width: int, out_width: int, target: list[int]) -> nn.Module:
            if upsampling == "nearest":
                convolution = layer.weighted(nn.Conv2d(in_width, out_width, kernel_size=3, padding=1))
                return nn.Sequential(nn.Upsample(size=tuple(target), mode="nearest"), convolution)
            output_padding = (1 - target[0] % 2, 1 - target[1] % 2)
            return layer.weighted(
                nn.ConvTranspose2d(
                    in_width, out_width, kernel_size=3, stride=2, padding=1, output_padding=output_padding
                )
            )

        def downward(in_width: int, out_width: int) -> nn.Module:
            return layer.weighted(nn.Conv2d(in_width, out_width, kernel_size=3, stride=2, padding=1))

        def wide(in_width: int, out_width: int) -> nn.Module:
            return layer.weighted(nn.Conv2d(in_width, out_width, kernel_size=7, padding=3, padding_mode=padding))

        def normalized(weights: nn.Module, out_width: int) -> list[nn.Module]:
            return [weights, make_image_normalization(normalization, out_width), layer.activate()]

        self.body = nn.Sequential(
            *normalized(wide(channels, width), width),
            *normalized(downward(width, 2 * width), 2 * width),
            *normalized(downward(2 * width, 4 * width), 4 * width),
            *[ResidualBlock(4 * width, padding, normalization, layer) for _ in range(blocks)],
            *normalized(upward(4 * width, 2 * width, half), 2 * width),
            *normalized(upward(2 * width, width, size), width),
            wide(width, out_channels),
        )


@dataclass(frozen=True)
class ResNet(Network):
    """width, blocks, padding, normalization, upsampling: as in `ResNetGenerator`."""

    width: int = 64
    blocks: int = 9
    padding: Padding = "reflect"
    normalization: ImageNormalization = "instance"
    upsampling: Upsampling = "transposed"

    name: ClassVar[str] = "resnet"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"network.width={self.width}: must be at least 1")

    def translator(self, in_shape: Shape, out_shape: Shape, **style: Any) -> ResNetGenerator:
        self.check_shape(in_shape, out_shape)
        if in_shape[1:] != out_shape[1:]:
            sizes = " and ".join(f"{height}x{width}" for _, height, width in (in_shape, out_shape))
            raise ValueError(f"network=resnet: translates between images of one size, not between {sizes}")
        sizes_of_layers = self.width, self.blocks, self.padding, self.normalization, self.upsampling
        return ResNetGenerator(in_shape, out_shape[0], *sizes_of_layers, **style)
