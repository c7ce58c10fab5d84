"""Convolutions that see only what comes before a pixel: rows above it, and pixels to its left.

Each can be computed for all pixels at once, or for one row or one pixel, as sampling needs it.

Reference: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

from genlab.networks.autoregressive import AutoregressiveNet, Entry


class Above(nn.Conv2d):
    """Sees `kernel // 2` rows above a pixel and, if `own_row`, the pixel's whole row; `kernel` columns, an odd number.

    With `own_row` its input must be what another such convolution has made of the rows above.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, own_row: bool = False):
        super().__init__(in_channels, out_channels, (kernel // 2 + int(own_row), kernel))
        self.own_row = own_row

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H, W]."""
        rows, side = self.kernel_size[0], self.kernel_size[1] // 2
        padded = pad(x, (side, side, rows - int(self.own_row), 0))
        return super().forward(padded if self.own_row else padded[:, :, :-1])

    def row(self, x: Tensor, number: int) -> Tensor:
        """The output's row `number`, [N, out_channels, 1, W], from the input [N, in_channels, H, W] up to there."""
        rows, side = self.kernel_size[0], self.kernel_size[1] // 2
        end = number + int(self.own_row)
        seen = x[:, :, max(0, end - rows) : end]
        return super().forward(pad(seen, (side, side, rows - seen.shape[2], 0)))


class Left(nn.Conv2d):
    """Sees `kernel // 2` pixels to the left of a pixel, and of the pixel itself some channels.

    Channels of input and output are in `groups`, one for each channel of the image: a group sees, of its own pixel, the
    groups before it and, if `own`, itself.
    """

    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int, groups: int, own: bool = True):
        super().__init__(in_channels, out_channels, (1, kernel // 2 + 1))
        source = torch.arange(in_channels) * groups // in_channels
        target = torch.arange(out_channels) * groups // out_channels
        mask = torch.ones_like(self.weight)
        mask[:, :, 0, -1] = (source < target[:, None] + int(own)).to(mask)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H, W]."""
        return conv2d(pad(x, (self.kernel_size[1] - 1, 0)), self.weight * self.mask, self.bias)

    def pixel(self, x: Tensor) -> Tensor:
        """The output of one pixel [N, out_channels] from the pixels that it sees, [N, in_channels, kernel // 2 + 1], or
        from itself [N, in_channels] if that is all."""
        return linear(x.flatten(1), (self.weight * self.mask).flatten(1), self.bias)


def check_odd(**sizes: int) -> None:
    """`ValueError` unless the `sizes` of convolutions, settings of the network with these names, have a centre."""
    for key, size in sizes.items():
        if size < 3 or size % 2 == 0:
            raise ValueError(f"network.{key}={size}: must be odd and at least 3")


def divisible(channels: int, groups: int) -> int:
    """The smallest multiple of `groups` that is not less than `channels`."""
    return -(-channels // groups) * groups


class Row:
    """One row of the input of a `Left`, pixel by pixel."""

    def __init__(self, layer: Left, like: Tensor):
        """like: [N, C, H, W], whose N, W, dtype and device the row has."""
        self.layer, self.width = layer, layer.kernel_size[1]
        self.seen = like.new_zeros(len(like), layer.in_channels, like.shape[3] + self.width - 1)

    def put(self, x: Tensor, column: int) -> None:
        """Set the pixel `column`, [N, in_channels]."""
        self.seen[:, :, column + self.width - 1] = x

    def output(self, x: Tensor, column: int) -> Tensor:
        """The output at `column`, where the input is `x`; pixels to the left have been put."""
        self.put(x, column)
        return self.layer.pixel(self.seen[:, :, column : column + self.width])


class Memory(Protocol):
    """What a layer remembers of the pixels before the current one, while an image is made."""

    def begin(self, number: int) -> None:
        """A row begins: those above it are complete."""

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        """The layer's output [N, C] at a pixel, from that of the layer below."""
        raise NotImplementedError


class FirstMemory(Memory, Protocol):
    """That of the layer which reads the image. row: what it reads of the current one."""

    row: Row


class PixelNet(AutoregressiveNet):
    """[N, C, H, W] -> [N, per_entry, C, H, W]: such convolutions, and a head of two layers of single pixels."""

    def make_head(self, channels: int) -> None:
        """channels: of what the head reads."""
        self.inner = Left(channels, channels, 1, self.shape[0])
        self.outer = Left(channels, self.per_entry * self.shape[0], 1, self.shape[0])

    def head(self, h: Tensor) -> Tensor:
        """[N, channels, H, W] -> [N, per_entry, C, H, W]."""
        return self.outer(self.inner(h.relu()).relu()).unflatten(1, (self.shape[0], self.per_entry)).transpose(1, 2)

    def memories(self, x: Tensor, features: Tensor | None) -> tuple[FirstMemory, Sequence[Memory]]:
        """Of the first layer and of the others, while the image x [N, C, H, W] is filled in."""
        raise NotImplementedError

    def entries(self, x: Tensor, features: Tensor | None = None) -> Entry:
        """What a layer has seen above is computed once a row, and the rest for a pixel at a time."""
        first, others = self.memories(x, features)
        memories, (groups, _, width) = [first, *others], x.shape[1:]

        def entry(number: int) -> Tensor:
            place, channel = divmod(number, groups)
            row, column = divmod(place, width)
            if channel == 0:
                if column == 0:
                    for memory in memories:
                        memory.begin(row)
                else:  # the pixel to the left is complete now
                    first.row.put(x[:, :, row, column - 1], column - 1)
            h = x[:, :, row, column]
            for memory in memories:
                h = memory.pixel(h, row, column)
            h = self.outer.pixel(self.inner.pixel(h.relu()).relu())
            return h.unflatten(1, (groups, self.per_entry))[:, channel]

        return entry
