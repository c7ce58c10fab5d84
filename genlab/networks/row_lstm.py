"""Row LSTM (`network=row-lstm`): a recurrent network that reads an image row by row.

The states of a row are computed at once: from the row itself, up to each pixel, and from the states of the row above.

Reference: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genlab.networks.masked_convolutions import Left, Memory, Row
from genlab.networks.pixelcnn import PixelCNN


class RowLSTMBlock(nn.Module):
    """x + up(h), h the states of an LSTM over the rows: [N, 2 * channels, H, W] -> the same."""

    def __init__(self, channels: int, kernel: int, groups: int):
        super().__init__()
        self.groups, self.channels = groups, channels
        self.input_to_state = Left(2 * channels, 4 * channels, kernel, groups)
        self.state_to_state = nn.Conv1d(channels, 4 * channels, kernel, padding=kernel // 2, bias=False)
        self.up = Left(channels, 2 * channels, 1, groups)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.channels, x.shape[3])
        rows = []
        for seen in self.input_to_state(x).unbind(2):
            h, c = lstm_step(seen + self.state_to_state(h), c, self.groups)
            rows.append(h)
        return x + self.up(torch.stack(rows, 2))

    def memory(self, image: Tensor) -> Memory:
        return _States(self, image)


def lstm_step(gates: Tensor, c: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """State and cell [N, channels, ...] from the gates [N, 4 * channels, ...], in `groups` of channels, and the cell
    before."""
    forget, write, content, show = gates.unflatten(1, (groups, 4, -1)).unbind(2)
    c = forget.sigmoid() * c.unflatten(1, (groups, -1)) + write.sigmoid() * content.tanh()
    return (show.sigmoid() * c.tanh()).flatten(1, 2), c.flatten(1, 2)


class _States:
    """A block while an image is made: the states and cells of the row above, and of this one so far."""

    def __init__(self, block: RowLSTMBlock, image: Tensor):
        self.block, self.image = block, image
        self.h = self.c = image.new_zeros(len(image), block.channels, image.shape[3])

    def begin(self, number: int) -> None:
        self.above, self.cells = self.block.state_to_state(self.h), self.c
        self.h, self.c = torch.zeros_like(self.h), torch.zeros_like(self.c)
        self.row = Row(self.block.input_to_state, self.image)

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        gates = self.above[:, :, column] + self.row.output(x, column)
        self.h[:, :, column], self.c[:, :, column] = lstm_step(gates, self.cells[:, :, column], self.block.groups)
        return x + self.block.up.pixel(self.h[:, :, column])


@dataclass(frozen=True)
class RowLSTM(PixelCNN):
    """channels: of the states. layers: number of LSTMs. Otherwise as of `PixelCNN`."""

    channels: int = 32
    layers: int = 3

    name: ClassVar[str] = "row-lstm"

    def block(self, channels: int, groups: int) -> RowLSTMBlock:
        return RowLSTMBlock(channels, self.kernel, groups)
