"""Diagonal BiLSTM (`network=diagonal-lstm`): two recurrent networks that read an image along its diagonals.

One comes from the left: a pixel's state follows from those of its neighbours to the left and above, so that it
knows all pixels above and to the left. The other one comes from the right, and a pixel is given its state in the row
above. All pixels of a diagonal are computed at once.

Reference: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genlab.networks.masked_convolutions import Left, Memory
from genlab.networks.pixelcnn import Stacked
from genlab.networks.row_lstm import lstm_step


class DiagonalBlock(nn.Module):
    """x + up(h), h the sum of the states of both LSTMs: [N, 2 * channels, H, W] -> the same."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.channels, self.groups = channels, groups
        self.from_left = Left(2 * channels, 4 * channels, 1, groups)
        self.from_right = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.left_states, self.right_states = (nn.Conv1d(channels, 4 * channels, 2, bias=False) for _ in range(2))
        self.up = Left(channels, 2 * channels, 1, groups)

    def forward(self, x: Tensor) -> Tensor:
        left = self._scan(self.from_left(x), self.left_states)
        right = self._scan(self.from_right(x).flip(3), self.right_states).flip(3)
        return x + self.up(left + pad(right, (0, 0, 1, 0))[:, :, :-1])

    def _scan(self, gates: Tensor, states: nn.Module) -> Tensor:
        """States [N, channels, H, W] from the left, given the part of the gates that follows from the input."""
        height, width = gates.shape[2:]
        shifted = [pad(row, (number, height - 1 - number)) for number, row in enumerate(gates.unbind(2))]
        h = c = gates.new_zeros(len(gates), self.channels, height)
        rows, found = torch.arange(height, device=gates.device), []
        for number, seen in enumerate(torch.stack(shifted, 2).unbind(3)):  # a diagonal has become a column
            h, c = lstm_step(seen + states(pad(h, (1, 0))), c, self.groups)
            begun = rows <= number
            h, c = h * begun, c * begun
            found.append(h)
        whole = torch.stack(found, 3)
        return torch.stack([whole[:, :, row, row : row + width] for row in range(height)], 2)

    def step(self, gates: Tensor, states: nn.Module, above: Tensor, beside: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """State and cell [N, channels] of a pixel, from the states of two neighbours and the cell beside it."""
        return lstm_step(gates + states(torch.stack([above, beside], 2))[:, :, 0], c, self.groups)

    def memory(self, image: Tensor) -> Memory:
        return _States(self, image)


class _States:
    """A block while an image is made: states of the row above and of this one, and those that come from the right."""

    def __init__(self, block: DiagonalBlock, image: Tensor):
        self.block = block
        self.read = image.new_zeros(len(image), block.from_left.in_channels, image.shape[3])
        self.h = self.c = self.right = image.new_zeros(len(image), block.channels, image.shape[3])

    def begin(self, number: int) -> None:
        if number > 0:
            self._come_from_the_right()
        self.above = self.h
        self.h, self.c = torch.zeros_like(self.h), torch.zeros_like(self.c)

    def _come_from_the_right(self) -> None:
        """The row that is complete now, read from its end."""
        gates = self.block.from_right(self.read[:, :, None])[:, :, 0]
        above, self.right = self.right, torch.zeros_like(self.right)
        h = c = torch.zeros_like(above[:, :, 0])
        for column in reversed(range(above.shape[2])):
            h, c = self.block.step(gates[:, :, column], self.block.right_states, above[:, :, column], h, c)
            self.right[:, :, column] = h

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        self.read[:, :, column] = x
        beside = [torch.zeros_like(x[:, : self.block.channels])] * 2
        if column:
            beside = [self.h[:, :, column - 1], self.c[:, :, column - 1]]
        gates, above = self.block.from_left.pixel(x), self.above[:, :, column]
        h, c = self.block.step(gates, self.block.left_states, above, *beside)
        self.h[:, :, column], self.c[:, :, column] = h, c
        return x + self.block.up.pixel(h + self.right[:, :, column])


@dataclass(frozen=True)
class DiagonalLSTM(Stacked):
    """channels: of the states. layers: pairs of LSTMs. Otherwise as of `Stacked`."""

    channels: int = 16
    layers: int = 2

    name: ClassVar[str] = "diagonal-lstm"

    def block(self, channels: int, groups: int) -> DiagonalBlock:
        return DiagonalBlock(channels, groups)
