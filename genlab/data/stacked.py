"""Digits as the colour channels of images: 1,000 modes that are known, for counting how many a model finds.

Reference: Metz, Poole, Pfau, Sohl-Dickstein 2017, Unrolled Generative Adversarial Networks,
https://arxiv.org/abs/1611.02163 (stacked MNIST)
"""

from dataclasses import replace

import torch

from genlab.contract.data import image_spec
from genlab.contract.settings import Place
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.data.torchvision_sets import Mnist
from genlab.system.seeding import mix

_CHANNELS = 3


class StackedDigits(Source):
    """Three digits of MNIST, drawn with `seed`, as one image: as many images as MNIST has. Others as of `Mnist`."""

    may_provide = frozenset({"x"})
    channel: Mnist

    def __init__(self, *, data_dir: Place, size: int | None = None, seed: int = 0):
        self.channel = Mnist(data_dir=data_dir, size=size)
        self.seed, self.sizes = seed, self.channel.sizes
        shape = (_CHANNELS, *self.channel.spec.shape[1:])
        self.spec = replace(image_spec(shape), num_examples=self.sizes["train"])

    def open(self, split: str) -> list[Examples]:
        digits = self.channel.open(split)[0].load()["x"]
        generator = torch.Generator().manual_seed(mix(self.seed, SPLITS.index(split)))
        rows = torch.randint(len(digits), (_CHANNELS, len(digits)), generator=generator)
        return [ArrayExamples(x=torch.cat([digits[channel] for channel in rows], 1))]
