"""Differentiable augmentation of what a discriminator reads, real and generated images alike, where images are few.

Reference: Zhao, Liu, Lin, Zhu, Han 2020, Differentiable Augmentation for Data-Efficient GAN Training,
https://arxiv.org/abs/2006.10738
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.contract.data import Batch

_DRAWS = 3
"""Random numbers that an augmentation takes for an image."""


def colour(x: Tensor, draws: Tensor) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by 0 to 2, contrast by 1/2 to 3/2."""
    brightness, saturation, contrast = draws[:, :, None, None, None].unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (contrast + 0.5)


def translation(x: Tensor, draws: Tensor) -> Tensor:
    """Shifts by up to an eighth of each side; what enters is grey."""
    for axis, draw in ((2, draws[:, 0]), (3, draws[:, 1])):
        size = x.shape[axis]
        shift = ((2 * draw - 1) * (size / 8)).round().long()
        place = torch.arange(size, device=x.device) + shift[:, None]  # [N, size]
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        inside = ((place >= 0) & (place < size)).view(shape)
        x = x.gather(axis, place.clamp(0, size - 1).view(shape).expand_as(x)) * inside
    return x


def cutout(x: Tensor, draws: Tensor) -> Tensor:
    """A grey rectangle of half of each side."""
    hidden = []
    for axis, draw in ((2, draws[:, 0]), (3, draws[:, 1])):
        size = x.shape[axis]
        start = (draw * size).floor()[:, None] - size // 4
        place = torch.arange(size, device=x.device)
        hidden.append((place >= start) & (place < start + size // 2))
    rows, columns = hidden
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}
"""By name: images [N, C, H, W] in [-1, 1] and uniform random numbers [N, 3] to images."""


def check_augmentations(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, the value of `model.augment`. `ValueError` if there is one that is none."""
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(f"model.augment={unknown[0]}: choose from {', '.join(AUGMENTATIONS)}")
    return tuple(names)


def augmented(x: Tensor, names: Sequence[str], batch: Batch) -> Tensor:
    """Images [N, C, H, W] in [-1, 1] under the augmentations `names`, with random numbers of `batch`, of whose N rows
    they are."""
    for name in names:
        x = AUGMENTATIONS[name](x, batch.rand(_DRAWS))
    return x
