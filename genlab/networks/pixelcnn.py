"""PixelCNN (`network=pixelcnn`): residual blocks of masked convolutions.

A pixel sees those above and to the left of it, but for a blind spot to the right (van den Oord et al. 2016, Conditional
Image Generation with PixelCNN Decoders). It knows where in the image it is, which is ours: convolutions that see few
rows cannot tell the lower edge from the upper one.

Reference: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from genlab.networks.layers import check_least
from genlab.networks.masked_convolutions import Above, FirstMemory, Left, Memory, PixelNet, Row, check_odd, divisible
from genlab.networks.network import Network, Shape


class Masked(nn.Module):
    """A convolution of the rows above and the pixels to the left. own: a channel sees itself at its own pixel."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, groups: int, own: bool):
        super().__init__()
        self.above = Above(in_channels, out_channels, kernel)
        self.left = Left(in_channels, out_channels, kernel, groups, own)

    def forward(self, x: Tensor) -> Tensor:
        return self.above(x) + self.left(x)


class Block(nn.Module):
    """x + up(relu(masked(relu(down(relu(x)))))): [N, 2 * channels, H, W] -> the same."""

    def __init__(self, channels: int, kernel: int, groups: int):
        super().__init__()
        self.down = Left(2 * channels, channels, 1, groups)
        self.masked = Masked(channels, channels, kernel, groups, own=True)
        self.up = Left(channels, 2 * channels, 1, groups)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.masked(self.down(x.relu()).relu()).relu())

    def memory(self, image: Tensor) -> Memory:
        return _Inner(self, image)


class MaskedStack(PixelNet):
    """A masked convolution of the image, blocks that keep its shape, and a head.

    features: size of what all pixels are conditioned on; 0 for nothing.
    channels: of the first layer. blocks: [N, channels, H, W] -> the same; `memory(image)` makes each one's `Memory`.
    """

    def __init__(
        self, shape: Shape, per_entry: int, features: int, channels: int, kernel: int, blocks: Sequence[nn.Module]
    ):
        super().__init__(shape, per_entry)
        self.first = Masked(shape[0], channels, kernel, shape[0], own=False)
        self.told = nn.Linear(features, channels, bias=False) if features else None
        self.place = nn.Parameter(torch.zeros(channels, *shape[1:]))
        self.blocks: Any = nn.ModuleList(blocks)
        self.make_head(channels)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        h = self.first.above(x) + self._told(features) + self.first.left(x)
        for block in self.blocks:
            h = block(h)
        return self.head(h)

    def memories(self, x: Tensor, features: Tensor | None) -> tuple[FirstMemory, list[Memory]]:
        return _First(self.first, x, self._told(features)), [block.memory(x) for block in self.blocks]

    def _told(self, features: Tensor | None) -> Tensor:
        """What position and condition add to the first layer, [1 or N, channels, H, W]."""
        place = self.place[None]
        return place if self.told is None or features is None else place + self.told(features)[:, :, None, None]


class _First:
    """The first layer while an image is made. told: what is added to it."""

    def __init__(self, layer: Masked, image: Tensor, told: Tensor):
        self.layer, self.image, self.told = layer, image, told

    def begin(self, number: int) -> None:
        self.above = self.layer.above.row(self.image, number)[:, :, 0] + self.told[:, :, number]
        self.row = Row(self.layer.left, self.image)

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        return self.above[:, :, column] + self.row.output(x, column)


class _Inner:
    """A block while an image is made, with all that its masked convolution has read."""

    def __init__(self, block: Block, image: Tensor):
        self.block, self.image = block, image
        self.read = image.new_zeros(len(image), block.masked.left.in_channels, *image.shape[2:])

    def begin(self, number: int) -> None:
        self.above = self.block.masked.above.row(self.read, number)[:, :, 0]
        self.row = Row(self.block.masked.left, self.image)

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        down = self.block.down.pixel(x.relu()).relu()
        self.read[:, :, row, column] = down
        return x + self.block.up.pixel((self.above[:, :, column] + self.row.output(down, column)).relu())


@dataclass(frozen=True)
class Stacked(Network):
    """Base of networks that are a `MaskedStack`. channels: inside a block, half of those between, rounded up to a
    multiple of the image's. layers: number of blocks. first_kernel: odd size of the first convolution."""

    channels: int = 16
    layers: int = 7
    first_kernel: int = 7

    def __post_init__(self) -> None:
        check_odd(first_kernel=self.first_kernel)
        check_least(1, "network", channels=self.channels, layers=self.layers)

    def block(self, channels: int, groups: int) -> nn.Module:
        """One of the blocks, see `MaskedStack`."""
        raise NotImplementedError

    def autoregressive(self, shape: Shape, per_entry: int, features: int = 0) -> PixelNet:
        self.check_shape(shape)
        channels = divisible(self.channels, shape[0])
        blocks = [self.block(channels, shape[0]) for _ in range(self.layers)]
        return MaskedStack(shape, per_entry, features, 2 * channels, self.first_kernel, blocks)


@dataclass(frozen=True)
class PixelCNN(Stacked):
    """kernel: odd size of the convolutions of blocks. Otherwise as of `Stacked`."""

    kernel: int = 3

    name: ClassVar[str] = "pixelcnn"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_odd(kernel=self.kernel)

    def block(self, channels: int, groups: int) -> nn.Module:
        return Block(channels, self.kernel, groups)
