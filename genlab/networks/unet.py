"""A U-Net: from images to images of the same size, of any number of channels.

A pyramid of strided convolutions sees the whole image; a second one climbs back to the full size. On each level the
features of the first are joined to those of the second, so that edges need not pass through the narrowest place. After
Ronneberger et al. 2015 in the form of Isola et al. 2017, but with nearest-neighbour enlargement and an ordinary
convolution instead of a transposed one, which leaves a raster of dots (Odena et al. 2016), and with the input itself
joined at the full size.

Downward a side h becomes floor(h / 2), until the smaller one is 2 or 3, where each feature sees nearly the whole image.
Upward the features are enlarged to the size of the level that they are joined with, so odd sides are restored exactly
(21 -> 10 -> 5 -> 2 -> 5 -> 10 -> 21).

References:
    Ronneberger, Fischer, Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation,
        https://arxiv.org/abs/1505.04597
    Isola, Zhu, Zhou, Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks,
        https://arxiv.org/abs/1611.07004
    Odena, Dumoulin, Olah 2016, Deconvolution and Checkerboard Artifacts, https://doi.org/10.23915/distill.00003
"""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from genlab.contract.data import ImageShape
from genlab.networks.convolutional import pyramid_widths
from genlab.networks.layers import Style, check_sides
from genlab.networks.network import Network, Shape
from genlab.networks.resnet import PixelNorm

UNetNormalization = Literal["instance", "batch", "pixel", "none"]

_DROPPED_LEVELS = 3
"""Innermost levels of the upward path that dropout acts on (Isola et al. 2017, section 6.1.1)."""


class UNet(nn.Module):
    """Images to images: [N, C, H, W] -> [N, C', H, W], raw outputs, for any C, C' and any H, W of at least 8.

    channels: of the features at half the size; they double at each further level, up to `max_channels`.
    normalization: on all levels between the first and the innermost. "instance" and "batch" take the mean level of the
        features away, over the pixels of an image or of a batch; "pixel" and "none" keep it.
    dropout: rate at which whole channels are dropped on the innermost levels of the upward path; with `noise` in the
        style, in evaluation as well, by the noise that `forward` is given.
    style: options of `Style`, of which the activation of the upward path, spectral normalization and noise apply.
    """

    def __init__(
        self,
        in_shape: ImageShape,
        out_shape: ImageShape,
        channels: int = 32,
        max_channels: int = 256,
        normalization: UNetNormalization = "instance",
        dropout: float = 0.0,
        **style: Any,
    ):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"network.dropout={dropout}: must lie in [0, 1)")
        layer = Style(**style)
        self.noise = dropout if layer.noise else 0.0
        if in_shape[1:] != out_shape[1:]:
            raise ValueError(
                f"network=unet: images of {in_shape[1]}x{in_shape[2]} to images of {out_shape[1]}x{out_shape[2]}: "
                "a U-Net keeps the size; choose equal sizes of a and b"
            )
        if normalization not in get_args(UNetNormalization):
            choices = ", ".join(get_args(UNetNormalization))
            raise ValueError(f"network.normalization={normalization!r}: choose from {choices}")
        check_sides(in_shape[1], in_shape[2], "U-Net")
        levels = min(in_shape[1:]).bit_length() - 2
        widths = [in_shape[0], *pyramid_widths(levels, channels, max_channels)]

        def hidden(weights: nn.Module, width: int, activation: nn.Module, normalized: bool = True) -> nn.Sequential:
            between = _normalize(normalization, width) if normalized else []
            return nn.Sequential(layer.weighted(weights), *between, activation)

        self.down = nn.ModuleList(
            hidden(
                nn.Conv2d(widths[level], widths[level + 1], kernel_size=4, stride=2, padding=1),
                widths[level + 1],
                nn.LeakyReLU(0.2),
                normalized=0 < level < levels - 1,
            )
            for level in range(levels)
        )
        self.up, dropped = nn.ModuleList(), list[int]()
        for level in range(levels - 1, 0, -1):
            joined = nn.Conv2d(widths[level + 1] + widths[level], widths[level], kernel_size=3, padding=1)
            step = hidden(joined, widths[level], layer.activate())
            if level >= levels - _DROPPED_LEVELS:
                dropped.append(widths[level])
                step.extend([nn.Dropout2d(dropout)] if dropout and not self.noise else [])
            self.up.append(step)
        self.noise_widths = dropped if self.noise else []
        full = max(channels // 2, 4)
        self.last = nn.Sequential(
            layer.weighted(nn.Conv2d(widths[1] + in_shape[0], full, kernel_size=3, padding=1)),
            layer.activate(),
            layer.weighted(nn.Conv2d(full, out_shape[0], kernel_size=3, padding=1)),
        )

    @property
    def noise_size(self) -> int:
        """Numbers of the noise that an image takes."""
        return sum(self.noise_widths)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """noise: [N, noise_size], uniform in [0, 1): one for each channel that may be dropped."""
        given = [] if noise is None else (noise >= self.noise).to(x.dtype).split(self.noise_widths, 1)
        features = [x]
        for step in self.down:
            features.append(step(features[-1]))
        y = features.pop()
        for step, kept in zip_longest((*self.up, self.last), given):
            across = features.pop()
            y = step(torch.cat([interpolate(y, across.shape[-2:], mode="nearest"), across], 1))
            y = y if kept is None else y * (kept / (1 - self.noise))[:, :, None, None]
        return y


def _normalize(name: UNetNormalization, width: int) -> list[nn.Module]:
    """Zero or one module that normalizes features [N, width, H, W]."""
    if name == "none":
        return []
    if name == "pixel":
        return [PixelNorm()]
    return [nn.BatchNorm2d(width) if name == "batch" else nn.InstanceNorm2d(width, affine=True)]


@dataclass(frozen=True)
class UNetNetwork(Network):
    """`network=unet`: translators only; see `UNet` for the options."""

    name: ClassVar[str] = "unet"

    channels: int = 32
    max_channels: int = 256
    normalization: UNetNormalization = "instance"
    dropout: float = 0.0

    def translator(self, in_shape: Shape, out_shape: Shape, **style: Any) -> nn.Module:
        self.check_shape(in_shape, out_shape)
        sizes = {"channels": self.channels, "max_channels": self.max_channels}
        return UNet(in_shape, out_shape, **sizes, normalization=self.normalization, dropout=self.dropout, **style)
