"""Gated PixelCNN (`network=gated-pixelcnn`): two stacks of convolutions without a blind spot.

The vertical stack sees the rows above, the horizontal one the pixels to the left, and is told what the vertical one
has seen.

Reference: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu 2016, Conditional Image Generation with
PixelCNN Decoders, https://arxiv.org/abs/1606.05328
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from genlab.networks.autoregressive import AutoregressiveNet, Entry
from genlab.networks.masked_convolutions import Above, Left
from genlab.networks.network import Network, Shape

Told = tuple[Tensor | float, Tensor | float]
"""What a condition adds to the vertical and to the horizontal stack, [N, 2 * channels, 1, 1] each."""


class GatedLayer(nn.Module):
    """One layer of both stacks. first: it reads the image itself, so that a pixel must not see its own value."""

    def __init__(self, in_channels: int, channels: int, kernel: int, groups: int, features: int, first: bool):
        super().__init__()
        self.groups, self.first = groups, first
        self.vertical = Above(in_channels, 2 * channels, kernel, own_row=not first)
        self.horizontal = Left(in_channels, 2 * channels, kernel, groups, own=not first)
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = Left(channels, channels, 1, groups, own=True)
        self.told = nn.Linear(features, 4 * channels, bias=False) if features else None

    def forward(self, v: Tensor, h: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """v, h: what the stacks have of the layer below, [N, in_channels, H, W]; outputs [N, channels, H, W]."""
        told, above = self.tell(features), self.vertical(v)
        out = self.out(self.gate(self.across(above) + self.horizontal(h) + told[1]))
        return self.gate(above + told[0]), out if self.first else h + out

    def tell(self, features: Tensor | None) -> Told:
        if self.told is None or features is None:
            return 0.0, 0.0
        vertical, horizontal = self.told(features)[:, :, None, None].chunk(2, dim=1)
        return vertical, horizontal

    def gate(self, x: Tensor) -> Tensor:
        """tanh(a) * sigmoid(b) of the two halves a, b of each group of channels (dimension 1)."""
        a, b = x.unflatten(1, (self.groups, 2, -1)).unbind(2)
        return (a.tanh() * b.sigmoid()).flatten(1, 2)


class GatedPixelCNNNet(AutoregressiveNet):
    """[N, C, H, W] -> [N, per_entry, C, H, W]. features: size of what all pixels are conditioned on; 0 for nothing."""

    def __init__(
        self,
        shape: Shape,
        per_entry: int,
        features: int = 0,
        channels: int = 32,
        layers: int = 7,
        kernel: int = 3,
        first_kernel: int = 7,
    ):
        super().__init__(shape, per_entry)
        groups = shape[0]
        self.layers: Any = nn.ModuleList(
            GatedLayer(channels if number else groups, channels, kernel if number else first_kernel, groups, features,
                       first=number == 0)
            for number in range(layers)
        )  # fmt: skip
        self.inner = Left(channels, channels, 1, groups, own=True)
        self.outer = Left(channels, per_entry * groups, 1, groups, own=True)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, features)
        return self.outer(self.inner(h.relu()).relu()).unflatten(1, (self.shape[0], self.per_entry)).transpose(1, 2)

    def entries(self, x: Tensor, features: Tensor | None = None) -> Entry:
        """Of the vertical stack one row is computed at a time, of the horizontal one a pixel."""
        groups, _, width = self.shape
        told = [layer.tell(features) for layer in self.layers]
        vertical: list[Tensor] = [x]  # what each layer reads, all rows
        across: list[Tensor] = []  # what it tells the horizontal stack, one row
        horizontal: list[Tensor] = []  # what it reads there, one row with padding at the left

        for layer in self.layers:
            channels = layer.out.out_channels
            vertical.append(x.new_zeros(len(x), channels, *self.shape[1:]))

        def begin(row: int) -> None:
            across.clear()
            horizontal.clear()
            for number, layer in enumerate(self.layers):
                above = layer.vertical.row(vertical[number], row)
                vertical[number + 1][:, :, row : row + 1] = layer.gate(above + told[number][0])
                across.append(layer.across(above) + told[number][1])
                kernel = layer.horizontal.kernel_size[1]
                horizontal.append(x.new_zeros(len(x), layer.horizontal.in_channels, width + kernel - 1))

        def entry(number: int) -> Tensor:
            pixel, channel = divmod(number, groups)
            row, column = divmod(pixel, width)
            if column == channel == 0:
                begin(row)
            h = x[:, :, row, column]
            for layer, seen, from_above in zip(self.layers, horizontal, across, strict=True):
                end = column + layer.horizontal.kernel_size[1]
                if layer.first and column and not channel:  # its left neighbour is complete now
                    seen[:, :, end - 2] = x[:, :, row, column - 1]
                seen[:, :, end - 1] = h
                left = layer.horizontal.pixel(seen[:, :, column:end])
                out = layer.out.pixel(layer.gate(from_above[:, :, 0, column] + left)[:, :, None])
                h = out if layer.first else h + out
            found = self.outer.pixel(self.inner.pixel(h.relu()[:, :, None]).relu()[:, :, None])
            return found.unflatten(1, (groups, self.per_entry))[:, channel]

        return entry


@dataclass(frozen=True)
class GatedPixelCNN(Network):
    """channels: of each stack, rounded up to a multiple of the image's. layers: of both stacks. kernel, first_kernel:
    odd sizes of the convolutions."""

    channels: int = 32
    layers: int = 7
    kernel: int = 3
    first_kernel: int = 7

    name: ClassVar[str] = "gated-pixelcnn"

    def __post_init__(self) -> None:
        for key in ("channels", "layers"):
            if getattr(self, key) < 1:
                raise ValueError(f"network.{key}={getattr(self, key)}: must be at least 1")
        for key in ("kernel", "first_kernel"):
            if (size := getattr(self, key)) < 3 or size % 2 == 0:
                raise ValueError(f"network.{key}={size}: must be odd and at least 3")

    def autoregressive(self, shape: Shape, per_entry: int, features: int = 0) -> GatedPixelCNNNet:
        self.check_shape(shape)
        channels = -(-self.channels // shape[0]) * shape[0]
        return GatedPixelCNNNet(shape, per_entry, features, channels, self.layers, self.kernel, self.first_kernel)
