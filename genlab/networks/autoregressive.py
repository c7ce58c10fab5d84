"""What autoregressive networks share: an order of the entries, and a way to compute one after another."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

Entry = Callable[[int], Tensor]
"""Raw outputs [N, per_entry] at the entry with this number in the order, given those before it."""


class AutoregressiveNet(nn.Module):
    """[N, *shape] in [-1, 1] and, if it was made for some, features [N, F], to [N, per_entry, *shape] raw outputs.

    Outputs at an entry depend on the features and on the entries before it alone. Entries are ordered as a text: rows
    from the top, in a row from the left, and the channels of a pixel one after another.
    orderings: how many orders it knows; `forward` takes the number of one as `ordering` if there are several.
    shuffled: whether the first order is another than that of a text.
    """

    orderings = 1
    shuffled = False

    def __init__(self, shape: tuple[int, ...], per_entry: int):
        super().__init__()
        self.shape, self.per_entry = tuple(shape), per_entry

    def order(self, number: int = 0) -> Tensor:
        """The places of all entries in the flattened example, int64 [D], first to last."""
        channels = self.shape[0] if len(self.shape) == 3 else 1
        return torch.arange(prod(self.shape)).unflatten(0, (channels, -1)).T.flatten()

    def entries(self, x: Tensor, features: Tensor | None = None) -> Entry:
        """A function that gives the outputs at one entry after another, called for 0, 1, ... while `x` is filled in.

        By default every call is a whole forward pass. Networks that remember what did not change are faster.
        """
        order = self.order().tolist()
        return lambda number: self(x, features).flatten(2)[:, :, order[number]]
