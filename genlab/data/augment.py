"""Augment a whole batch at once, with the per-row noise of the batch."""

import torch
from torch import Tensor

from genlab.contract.data import Batch


def augment(batch: Batch, names: tuple[str, ...], flip: bool, shift: int) -> None:
    """Randomly flip and shift the image fields `names` of `batch`, in place.

    flip: horizontally, with probability 1/2.
    shift: by a random integer number of pixels in [-shift, shift] along each axis, with edge padding.
    """
    for name in names:
        if flip:
            flipped = batch.rand() < 0.5
            batch.fields[name] = torch.where(flipped[:, None, None, None], batch[name].flip(-1), batch[name])
        if shift:
            batch.fields[name] = _shift(
                batch[name], batch.randint(2 * shift + 1) - shift, batch.randint(2 * shift + 1) - shift
            )


def _shift(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift each image of x [N, C, H, W] by its own `down` and `right` [N] pixels."""
    _, channels, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) - right[:, None]).clamp(0, width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    return x.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view_as(x)
