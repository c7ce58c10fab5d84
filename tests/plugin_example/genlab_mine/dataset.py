"""Rendered images of one bright bar on black."""

import torch

from genlab.contract.data import image_spec
from genlab.data.checks import check_range
from genlab.data.source import ArrayExamples, Examples, Source


class Bars(Source):
    """A horizontal (label 0) or vertical (label 1) bar at a random place: `x` uint8 [N, 1, size, size].

    size: height and width in pixels. num_train, num_validation: number of images.
    """

    def __init__(self, *, size: int = 8, num_train: int = 256, num_validation: int = 64, seed: int = 0):
        check_range("size", size, 2)
        self.seed = seed
        self.spec = image_spec((1, size, size), num_classes=2)
        self.sizes = {"train": num_train, "validation": num_validation}

    def open(self, split: str) -> list[Examples]:
        generator = torch.Generator().manual_seed(2 * self.seed + (split == "validation"))
        count, side = self.sizes[split], self.spec.shape[-1]
        label = torch.randint(2, (count,), generator=generator)
        place = torch.randint(side, (count,), generator=generator)
        rows = (torch.arange(side) == place[:, None]).byte() * 255
        image = rows[:, None, :, None].repeat(1, 1, 1, side)
        return [ArrayExamples(x=torch.where(label[:, None, None, None] == 1, image.mT, image), label=label)]
