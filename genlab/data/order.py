"""The order of training examples: a function of seed, epoch, position and, if there are any, weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.system.seeding import mix


class IndexStream:
    """An endless stream of indices. Every epoch is a new permutation of `size` examples, or, with unequal weights, as
    many independent draws in proportion to them.

    Batches cross epoch boundaries, so each example of a permutation appears exactly once for any batch size.

    weights: gives the current weights [size], not negative; read once when an epoch starts. None for permutations.
    """

    def __init__(self, size: int, *seed: int, weights: Callable[[], Tensor] | None = None):
        self.size, self.seed, self.weights = size, seed, weights
        self._epoch = -1
        self._indices = torch.empty(0, dtype=torch.int64)
        self._read: tuple[int, Tensor] | None = None  # the latest epoch that weights were read for, and those weights

    def take(self, start: int, count: int) -> Tensor:
        """Indices int64 [count] at positions start ... start + count - 1 of the stream."""
        pieces = []
        while count > 0:
            epoch, position = divmod(start, self.size)
            piece = self._order(epoch)[position : position + count]
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _order(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(mix(*self.seed, epoch))
            weights = self._weights(epoch)
            if weights is None or bool((weights == weights[0]).all()):
                self._indices = torch.randperm(self.size, generator=generator)
            else:
                total = weights.cumsum(0)
                drawn = torch.rand(self.size, dtype=torch.float64, generator=generator) * total[-1]
                self._indices = torch.searchsorted(total, drawn, right=True).clamp(max=self.size - 1)
            self._epoch = epoch
        return self._indices

    def _weights(self, epoch: int) -> Tensor | None:
        """The weights as they were when `epoch` started, float64 [size]."""
        if self.weights is None:
            return None
        if self._read is None or self._read[0] != epoch:
            self._read = epoch, self.weights().detach().float().cpu().clone()
        weights = self._read[1].double()
        if weights.shape != (self.size,):
            raise ValueError(f"the model's example_weights hold {weights.numel()} weights for {self.size} examples")
        if not (weights.isfinite().all() and weights.min() >= 0 and weights.sum() > 0):
            raise ValueError("the model's example_weights are negative, not finite or all zero")
        return weights

    def state_dict(self) -> dict:
        """What the order depends on besides the seed."""
        return {} if self._read is None else {"epoch": self._read[0], "weights": self._read[1]}

    def load_state_dict(self, state: dict) -> None:
        self._epoch = -1
        self._read = (state["epoch"], state["weights"].cpu()) if state else None
