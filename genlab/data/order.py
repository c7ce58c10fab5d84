"""The order of training examples: a function of seed, epoch and position, with no state to save."""

import torch
from torch import Tensor

from genlab.system.seeding import mix


class IndexStream:
    """An endless stream of indices; every epoch is a new permutation of `size` examples.

    Batches cross epoch boundaries, so each example appears exactly once per epoch for any batch size.
    """

    def __init__(self, size: int, *seed: int):
        self.size = size
        self.seed = seed
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

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
            self._permutation = torch.randperm(self.size, generator=generator)
            self._epoch = epoch
        return self._permutation
