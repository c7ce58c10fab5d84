"""Augment a whole batch at once, with the per-row noise of the batch."""

from genlab.contract.data import Batch, DataSpec
from genlab.media.kinds import shown_kind


def augment(batch: Batch, data: DataSpec, flip: bool, shift: int) -> None:
    """Randomly flip and shift the modelled fields of `batch`, in place: paired domains as one, others each by itself.

    flip: horizontally, with probability 1/2.
    shift: by a random whole number of pixels in [-shift, shift] along each axis, with edge padding.
    """
    if not flip and not shift:
        return
    for names in [data.domains] if data.paired else [(name,) for name in data.domains]:
        flipped = batch.rand() < 0.5 if flip else None
        shifts = (batch.randint(2 * shift + 1) - shift, batch.randint(2 * shift + 1) - shift) if shift else None
        for name in names:
            batch.fields[name] = shown_kind(data, name).augment(batch[name], flipped, shifts)
