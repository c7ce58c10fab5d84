"""Random convolutions at several scales, for the extractor `random-conv`: it learns nothing but its units.

The features of an image are its colours, averaged over the cells of a grid, and the mean magnitude of its responses to
random filters, at the full resolution, at half of it, and so on. Their magnitude falls if the image is blurred and
grows with noise. Each feature is standardized over training images.

Reference: Texture Synthesis Using Shallow Convolutional Networks with Random Filters (Ustyuzhaninov, Brendel, Gatys,
Bethge, 2016) https://arxiv.org/abs/1606.00021
"""

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, pad

from genlab.data.cache import cached
from genlab.data.fingerprint import data_fingerprint
from genlab.data.source import Source
from genlab.evaluation.classifier import LARGEST_SIDE, reduce
from genlab.evaluation.extractor import Extractor, Reading
from genlab.evaluation.real_images import MOST, real_images
from genlab.system.device import computing
from genlab.system.seeding import seeded

_SCALES, _FILTERS, _SIDE, _GRID = 3, 16, 5, 4

_LEAST_STD = 0.01
"""Smallest unit of a feature: what hardly varies, as the borders of digits do, must not decide."""


class RandomConv(Extractor):
    """Features of images of any size; grey ones are read as ones of equal channels where others have more."""

    name = "random-conv"

    def __init__(self, source: Source, device: torch.device | str, seed: int = 0):
        self.channels = max(source.spec[name].shape[0] for name in source.spec.domains)
        with seeded(seed):
            filters = torch.randn(_SCALES, _FILTERS, self.channels, _SIDE, _SIDE)
        filters -= filters.mean((2, 3, 4), keepdim=True)
        self.filters = filters / filters.flatten(2).norm(dim=2)[..., None, None, None]
        self.device: torch.device | str = "cpu"
        settings = [_SCALES, _FILTERS, _SIDE, _GRID, MOST, LARGEST_SIDE]
        request = {"random-conv": settings, "data": data_fingerprint(source), "seed": seed}
        units = cached(request, [], lambda: self._units(source))
        digest = hashlib.sha256()
        for part in (self.filters, units["mean"], units["std"]):
            digest.update(part.numpy().tobytes())
        self.identity = digest.hexdigest()
        self.description = (
            f"colours over a grid of {_GRID}x{_GRID}, and mean magnitudes of {_FILTERS} random filters of "
            f"{_SIDE}x{_SIDE} pixels at {_SCALES} scales, standardized over training images, seed {seed}; sides above "
            f"{LARGEST_SIDE} averaged over areas to {LARGEST_SIDE}"
        )
        self.device, self.filters = device, self.filters.to(device)
        self.mean, self.std = units["mean"].to(device), units["std"].to(device).clamp(min=_LEAST_STD)

    def _units(self, source: Source) -> dict[str, Tensor]:
        """Mean and standard deviation [D] of the features of training images."""
        with torch.no_grad(), computing(torch.device("cpu"), "fp32"):
            features = torch.cat([self._features(x) for x in real_images(source, "train")]).double()
        return {"mean": features.mean(0).float(), "std": features.std(0, correction=0).float()}

    def _read(self, x: Tensor) -> Reading:
        if x.shape[1] not in (1, self.channels):
            raise ValueError(
                f"extractor=random-conv: it was calibrated on images of {self.channels} channels, and these have "
                f"{x.shape[1]}; give the dataset that the run was trained on"
            )
        features = (self._features(x.to(self.device)) - self.mean) / self.std
        return Reading(features, features.new_empty(len(x), 0))

    def _features(self, x: Tensor) -> Tensor:
        """Features [N, D] in the units of pixels."""
        x = reduce(x.expand(-1, self.channels, -1, -1), LARGEST_SIDE)
        found = [adaptive_avg_pool2d(x, _GRID).flatten(1)]
        for filters in self.filters:
            margin = _SIDE // 2
            responses = conv2d(pad(x, (margin,) * 4, mode="replicate"), filters)
            found.append(responses.abs().mean((2, 3)))
            x = adaptive_avg_pool2d(x, (max(1, x.shape[2] // 2), max(1, x.shape[3] // 2)))
        return torch.cat(found, 1)
