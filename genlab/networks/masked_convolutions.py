"""Convolutions that see only what comes before a pixel: rows above it, and pixels to its left.

Each can be computed for all pixels at once, or for one row or one pixel, as sampling needs it.

Reference: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad


class Above(nn.Conv2d):
    """Sees `kernel // 2` rows above a pixel and, if `own_row`, the pixel's whole row; `kernel` columns, an odd number.

    With `own_row` its input must be what another such convolution has made of the rows above.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, own_row: bool):
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

    def __init__(self, in_channels: int, out_channels: int, kernel: int, groups: int, own: bool):
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
        """The output of one pixel [N, out_channels] from the pixels that it sees, [N, in_channels, kernel // 2 + 1]."""
        return linear(x.flatten(1), (self.weight * self.mask).flatten(1), self.bias)
