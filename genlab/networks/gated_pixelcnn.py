"""Gated PixelCNN (`network=gated-pixelcnn`): two stacks of convolutions without a blind spot.

The vertical stack sees the rows above, the horizontal one the pixels to the left, and is told what the vertical one
has seen. Both know where in the image a pixel is, which is ours: without it, samples begin strokes at the lower edge.

Reference: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu 2016, Conditional Image Generation with
PixelCNN Decoders, https://arxiv.org/abs/1606.05328
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from genlab.networks.masked_convolutions import Above, FirstMemory, Left, Memory, PixelNet, Row, divisible
from genlab.networks.network import Shape
from genlab.networks.pixelcnn import PixelCNN

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

    def forward(
        self, v: Tensor, h: Tensor, features: Tensor | None, place: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """v, h: what the stacks have of the layer below, [N, in_channels, H, W]; outputs [N, channels, H, W].

        place: what is added for the position, [2 * channels, H, W].
        """
        told, above = self.tell(features), self.vertical(v) + place
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


class GatedPixelCNNNet(PixelNet):
    """Layers of both stacks, and a head. features: size of what all pixels are conditioned on; 0 for nothing."""

    def __init__(self, shape: Shape, per_entry: int, features: int, sizes: PixelCNN):
        super().__init__(shape, per_entry)
        groups, channels = shape[0], divisible(sizes.channels, shape[0])
        self.layers: Any = nn.ModuleList(
            GatedLayer(channels if number else groups, channels, sizes.kernel if number else sizes.first_kernel, groups,
                       features, first=number == 0)
            for number in range(sizes.layers)
        )  # fmt: skip
        self.place = nn.Parameter(torch.zeros(2 * channels, *shape[1:]))
        self.make_head(channels)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, features, self.place if layer.first else 0.0)
        return self.head(h)

    def memories(self, x: Tensor, features: Tensor | None) -> tuple[FirstMemory, list[Memory]]:
        """Of the vertical stack one row is computed at a time, of the horizontal one a pixel."""
        found: list[_Memory] = []
        for layer in self.layers:
            place = self.place if layer.first else torch.zeros_like(self.place)
            found.append(_Memory(layer, x, found[-1].vertical if found else x, layer.tell(features), place))
        return found[0], [*found[1:]]


class _Memory:
    """A layer while an image is made. below: what its vertical stack reads, [N, C, H, W]."""

    def __init__(self, layer: GatedLayer, image: Tensor, below: Tensor, told: Told, place: Tensor):
        self.layer, self.image, self.below, self.told, self.place = layer, image, below, told, place
        self.vertical = image.new_zeros(len(image), layer.out.out_channels, *image.shape[2:])

    def begin(self, number: int) -> None:
        above = self.layer.vertical.row(self.below, number) + self.place[:, number : number + 1]
        self.vertical[:, :, number : number + 1] = self.layer.gate(above + self.told[0])
        self.across = (self.layer.across(above) + self.told[1])[:, :, 0]
        self.row = Row(self.layer.horizontal, self.image)

    def pixel(self, x: Tensor, row: int, column: int) -> Tensor:
        gated = self.layer.gate(self.across[:, :, column] + self.row.output(x, column))
        out = self.layer.out.pixel(gated)
        return out if self.layer.first else x + out


@dataclass(frozen=True)
class GatedPixelCNN(PixelCNN):
    """channels: of each stack. layers: of both stacks. Otherwise as of `PixelCNN`."""

    channels: int = 32

    name: ClassVar[str] = "gated-pixelcnn"

    def autoregressive(self, shape: Shape, per_entry: int, features: int = 0) -> GatedPixelCNNNet:
        self.check_shape(shape)
        return GatedPixelCNNNet(shape, per_entry, features, self)
