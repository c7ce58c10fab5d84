"""Differentiable augmentation of what a discriminator reads, real and generated images alike, where images are few.

Reference: Zhao, Liu, Lin, Zhu, Han 2020, Differentiable Augmentation for Data-Efficient GAN Training,
https://arxiv.org/abs/2006.10738
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch
from genlab.system.distributed import gather_rows

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


class AdaptiveShare(nn.Module):
    """The share of images that are augmented, raised while the discriminator is too sure of real ones, up to 1 (Karras
    et al. 2020, Training Generative Adversarial Networks with Limited Data, https://arxiv.org/abs/2006.06676).

    target: wanted mean sign of its logits on real images, relative to `boundary`, where it is undecided. Every 4 steps
    the share moves, by 1 in 500,000 images.
    """

    share: Tensor
    signs: Tensor
    rows: Tensor
    moved: Tensor

    def __init__(self, target: float, boundary: float):
        super().__init__()
        self.target, self.boundary = target, boundary
        for name in ("share", "signs", "rows"):
            self.register_buffer(name, torch.zeros(()))
        self.register_buffer("moved", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def at(self, batch: Batch, step: int) -> Tensor:
        """The share [] at a step; the same for all micro-batches, of which the first one moves it."""
        if step % 4 == 0:
            first = self.moved != step
            change = (self.signs / self.rows.clamp(min=1) - self.target).sign() * (4 * batch.total / 500_000)
            self.share.copy_(torch.where(first & (self.rows > 0), (self.share + change).clamp(0, 1), self.share))
            for sums in (self.signs, self.rows):
                sums.mul_(~first)
            self.moved.fill_(step)
        return self.share

    @torch.no_grad()
    def count(self, logits: Tensor) -> None:
        """Takes note of the logits of real images, of all processes."""
        signs = gather_rows((logits.detach() - self.boundary).sign().sum()[None].to(self.signs))
        self.signs += signs.sum()
        self.rows += len(logits) * len(signs)


def augmented(x: Tensor, names: Sequence[str], batch: Batch, share: Tensor | None = None) -> Tensor:
    """Images [N, C, H, W] in [-1, 1] under the augmentations `names`, with random numbers of `batch`, of whose N rows
    they are. share: the probability of each augmentation, by default 1."""
    for name in names:
        changed = AUGMENTATIONS[name](x, batch.rand(_DRAWS))
        x = changed if share is None else torch.where((batch.rand() < share)[:, None, None, None], changed, x)
    return x
