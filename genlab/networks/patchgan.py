"""A discriminator that classifies overlapping patches instead of whole images.

PatchGAN of Isola et al. 2017: strided 4x4 convolutions, then two with stride 1; the last gives one logit per patch.
Three strided layers have a receptive field of 70x70, two of 34x34, one of 16x16. By default their number depends on the
image size, so that small images still get several logits per side.

References:
    Isola, Zhu, Zhou, Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks,
        https://arxiv.org/abs/1611.07004
    Zhu, Park, Isola, Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks,
        https://arxiv.org/abs/1703.10593
"""

from torch import nn

from genlab.contract.data import ImageShape
from genlab.networks.layers import Stack, check_sides


def strided_layers(height: int, width: int) -> int:
    """Default number of layers with stride 2: 1 below 24 pixels on the smaller side, 2 below 128, else 3."""
    smaller = min(height, width)
    return 1 if smaller < 24 else 2 if smaller < 128 else 3


class PatchDiscriminator(Stack):
    """Images to a map of logits, one per patch: [N, C, H, W] -> [N, 1, h, w], for any H, W of at least 8.

    n layers with stride 2 give h = floor(H / 2^n) - 2: 6x6 for 32x32, 14x14 for 64x64, 30x30 for 256x256.
    width: output channels of the first layer; they double with every layer, up to 8 * width.
    strided: n; None uses `strided_layers`.
    """

    def __init__(self, shape: ImageShape, width: int = 64, strided: int | None = None):
        super().__init__()
        channels, *size = shape
        check_sides(shape[1], shape[2], "patch discriminators")
        most = (min(size) // 3).bit_length() - 1  # leaves at least one logit per side
        if strided is None:
            strided = strided_layers(*size)
        if not 1 <= strided <= most:
            raise ValueError(
                f"discriminator_layers={strided}: must be at least 1 and at most {most} for images of "
                f"{size[0]}x{size[1]}"
            )

        # The first layer is not normalized: that would hide brightness and contrast from all later layers.
        widths = [width * min(2**level, 8) for level in range(strided + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for level in range(1, strided + 1):
            layers += [
                nn.Conv2d(
                    widths[level - 1], widths[level], kernel_size=4, stride=2 if level < strided else 1, padding=1
                ),
                nn.InstanceNorm2d(widths[level]),
                nn.LeakyReLU(0.2),
            ]
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1))
