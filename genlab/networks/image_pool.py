"""A history of generated images, so that a discriminator does not forget earlier outputs of the generator.

Shrivastava et al. 2017 (https://arxiv.org/abs/1612.07828), as used by Zhu et al. 2017
(https://arxiv.org/abs/1703.10593): until the pool is full, images are stored and passed through; after that, each
one either passes through or, with probability 1/2, is swapped with a stored one.

Slots are visited cyclically instead of at random. An image then stays equally long on average (2 * size queries), and
no two rows of a batch use the same slot, so querying a whole batch gives the same result as querying its slices.
"""

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, ImageShape
from genlab.system.distributed import gather_rows


class ImagePool(nn.Module):
    """Up to `size` images [C, H, W] in buffers, saved in checkpoints; size 0 passes everything through."""

    images: Tensor
    occupied: Tensor

    def __init__(self, size: int, shape: ImageShape):
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("occupied", torch.zeros(size, dtype=torch.bool))

    @torch.no_grad()
    def query(self, fakes: Tensor, batch: Batch, step: int) -> Tensor:
        """Images to show the discriminator in place of `fakes`: detached, [N, C, H, W], row by row.

        `fakes` belong to the rows of `batch`, drawn at `step`. Every process stores the rows of all processes, so
        that all hold the same pool.
        """
        fakes = fakes.detach()
        if self.size == 0:
            return fakes
        position = torch.arange(batch.offset, batch.offset + batch.size, device=fakes.device)
        slot = (step * batch.total + position) % self.size
        occupied = self.occupied[slot]
        # Rows beyond `size` in a batch would revisit slots: they pass through and are not stored.
        first = position < self.size
        swap = first & occupied & (batch.rand() < 0.5)
        shown = torch.where(swap[:, None, None, None], self.images[slot], fakes)
        target = torch.where(first & (swap | ~occupied), slot, self.size)

        # writer[s] is the row written to slot s, or -1; an extra last entry takes the rows that are not stored.
        fakes, slot, target = (gather_rows(rows) for rows in (fakes.to(self.images.dtype), slot, target))
        rows = torch.arange(len(target), device=target.device)
        writer = torch.full_like(target[:1], -1).repeat(self.size + 1).scatter(0, target, rows)[: self.size]
        self.occupied.logical_or_(writer >= 0)

        # Only visited slots are written, as the pool is large. Rows that share a slot write the same image to it.
        source = writer[slot]
        stored = torch.where((source >= 0)[:, None, None, None], fakes[source], self.images[slot])
        self.images.index_copy_(0, slot, stored)
        return shown
