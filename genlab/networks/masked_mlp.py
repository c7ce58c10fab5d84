"""Masked fully connected networks (`network=masked-mlp`): an output at an entry depends on the entries before it alone.

Units of hidden layers have a degree: how many of the first entries they see. Masks on the weights keep to it. Without
hidden layers, the network is a fully visible sigmoid belief network.

References:
- Germain, Gregor, Murray, Larochelle 2015, MADE: Masked Autoencoder for Distribution Estimation,
  https://arxiv.org/abs/1502.03509
- Neal 1992, Connectionist learning of belief networks, https://doi.org/10.1016/0004-3702(92)90065-6
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from genlab.networks.autoregressive import AutoregressiveNet, Entry
from genlab.networks.layers import Style, check_widths
from genlab.networks.network import Network, Shape
from genlab.system.seeding import mix


class MaskedMLP(AutoregressiveNet):
    """[N, *shape] -> [N, per_entry, *shape]. features: size of what all units may depend on, 0 for nothing.

    network: its settings.
    """

    def __init__(self, shape: Shape, per_entry: int, features: int, network: "Masked"):
        super().__init__(shape, per_entry)
        layer, hidden = Style(dropout=network.dropout), network.hidden
        size = prod(shape)
        self.orderings, self.hidden, self.bias_rate = network.orderings, tuple(hidden), network.bias_rate
        self.shuffled = network.shuffled
        # Ascending, so that the units of a degree are neighbours. Only units that see a condition may see no entry.
        least = 0 if features or size == 1 else 1
        self.degrees = [torch.arange(width) * (size - least) // width + least for width in hidden]
        sizes = [size, *hidden]
        self.layers: Any = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, hidden, strict=False))
        self.activation = layer.activate()
        self.drops = nn.ModuleList(nn.Sequential(*layer.drop(1)) for _ in hidden)
        self.head = nn.Linear(sizes[-1], per_entry * size)
        self.direct = nn.Linear(size, per_entry * size, bias=False) if network.direct and hidden else None
        for number, mask in enumerate(self.masks(0)):
            self.register_buffer(f"mask_{number}", mask, persistent=False)
        self.seen = nn.Linear(features, hidden[0] if hidden else per_entry * size, bias=False) if features else None

    def order(self, number: int = 0) -> Tensor:
        """The places of all entries, int64 [D], in the order `number`."""
        size = prod(self.shape)
        if number == 0 and not self.shuffled:
            return super().order()
        return torch.randperm(size, generator=torch.Generator().manual_seed(mix(size, number)))

    def masks(self, number: int) -> list[Tensor]:
        """Masks in the order `number`: of the hidden layers, of the head and of the direct connections; 0 or 1, shaped
        as the weights."""
        order = self.order(number)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order))  # how many entries come before each
        outputs = rank.repeat(self.per_entry)[:, None]
        seen_by = [rank[None] + 1, *(degree[None] for degree in self.degrees)]  # inputs have one of their own
        found = [degree[:, None] >= below for degree, below in zip(self.degrees, seen_by, strict=False)]
        found += [outputs >= seen_by[-1], outputs > rank]
        return [mask.to(self.head.weight) for mask in found]

    def _known_masks(self) -> list[Tensor]:
        return [self.get_buffer(f"mask_{number}") for number in range(len(self.hidden) + 2)]

    def forward(self, x: Tensor, features: Tensor | None = None, ordering: int = 0) -> Tensor:
        x = x.flatten(1)
        *masks, of_head, of_direct = self._known_masks() if ordering == 0 else self.masks(ordering)
        seen = 0 if self.seen is None or features is None else self.seen(features)
        h = x
        for number, (layer, mask, drop) in enumerate(zip(self.layers, masks, self.drops, strict=True)):
            h = linear(h, layer.weight * mask, layer.bias)
            h = drop(self.activation(h + seen if number == 0 else h))
        out = linear(h, self.head.weight * of_head, self.bias_rate * self.head.bias)
        if self.direct is not None:
            out = out + linear(x, self.direct.weight * of_direct)
        return (out if self.layers else out + seen).unflatten(1, (self.per_entry, *self.shape))

    def entries(self, x: Tensor, features: Tensor | None = None) -> Entry:
        """Of each hidden layer only the units are computed that have just seen their last entry: all entries together
        take as long as one forward pass."""
        flat = x.flatten(1)  # a view: it sees what the caller draws
        *masks, of_head, of_direct = self._known_masks()
        weights = [layer.weight * mask for layer, mask in zip(self.layers, masks, strict=True)]
        head = (self.head.weight * of_head).unflatten(0, (self.per_entry, -1))
        direct = None if self.direct is None else (self.direct.weight * of_direct).unflatten(0, (self.per_entry, -1))
        seen = None if self.seen is None or features is None else self.seen(features)
        bias = self.bias_rate * self.head.bias.unflatten(0, (self.per_entry, -1))
        found = [x.new_zeros(len(x), width) for width in self.hidden]
        bounds = [torch.searchsorted(degree, torch.arange(flat.shape[1] + 1)).tolist() for degree in self.degrees]

        order = self.order().tolist()

        def entry(rank: int) -> Tensor:
            place, below = order[rank], flat
            for number, (weight, layer, above) in enumerate(zip(weights, self.layers, found, strict=True)):
                units = slice(bounds[number][rank], bounds[number][rank + 1])
                if units.start < units.stop:
                    new = linear(below, weight[units], layer.bias[units])
                    above[:, units] = self.activation(new + seen[:, units] if number == 0 and seen is not None else new)
                below = above
            out = linear(below, head[:, place], bias[:, place])
            if direct is not None:
                out = out + linear(flat, direct[:, place])
            if seen is not None and not self.layers:
                out = out + seen.unflatten(1, (self.per_entry, -1))[:, :, place]
            return out

        return entry


@dataclass(frozen=True)
class Masked(Network):
    """hidden: widths of the hidden layers. dropout: their rate. direct: also connect inputs and outputs directly.

    orderings: number of orders of the entries that it knows; the first is that of the image, rows from the top.
    shuffled: the first is random as well, as in Germain et al. 2015.
    bias_rate: factor on the learning rate of the outputs' biases. The first entry depends on nothing else, and Adam
        moves a weight by little more than the sum of its rates.
    """

    hidden: Sequence[int] = (500,)
    orderings: int = 1
    shuffled: bool = False
    direct: bool = True
    dropout: float = 0.0
    bias_rate: float = 1.0

    name: ClassVar[str] = "masked-mlp"
    images_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_widths("network.hidden", self.hidden)
        if not 1 <= self.orderings <= 1000:
            raise ValueError(f"network.orderings={self.orderings}: must lie in 1..1000")
        if self.bias_rate <= 0:
            raise ValueError(f"network.bias_rate={self.bias_rate}: must be above 0")

    def autoregressive(self, shape: Shape, per_entry: int, features: int = 0) -> MaskedMLP:
        return MaskedMLP(shape, per_entry, features, self)
