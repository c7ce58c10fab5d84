"""Mel-cepstral distortion: how far two utterances of the same words are apart in timbre, whatever their timing.

References:
    Kubichek 1993, Mel-Cepstral Distance Measure for Objective Speech Quality Assessment,
        https://doi.org/10.1109/PACRIM.1993.407206
    Sakoe, Chiba 1978, Dynamic Programming Algorithm Optimization for Spoken Word Recognition,
        https://doi.org/10.1109/TASSP.1978.1163055
"""

import math

import torch
from torch import Tensor

ORDER = 13
"""Coefficients compared, without that of the loudness."""


def mel_cepstra(decibels: Tensor) -> Tensor:
    """Levels [N, bins, frames] in dB to cepstra [N, frames, ORDER]: ln level = c_0 + sum_d c_d cos(d w)."""
    bins = decibels.shape[1]
    places = torch.arange(bins, dtype=decibels.dtype) + 0.5
    waves = torch.cos(math.pi / bins * torch.arange(1, ORDER + 1, dtype=decibels.dtype)[:, None] * places)
    return (2 / bins * waves @ (decibels * math.log(10) / 20)).transpose(1, 2)


def mel_cepstral_distortion(x: Tensor, y: Tensor, x_length: Tensor, y_length: Tensor) -> Tensor:
    """Mean over the best alignment of 10 / ln 10 sqrt(2 sum_d (c_d - c'_d)^2) in dB: [N], from cepstra [N, frames, D].

    x_length, y_length: how many frames of each count, [N], at least 1.
    """
    distances = 10 / math.log(10) * math.sqrt(2) * torch.cdist(x, y)
    pairs = torch.arange(len(x))
    total, steps = _aligned(distances)
    return total[pairs, x_length - 1, y_length - 1] / steps[pairs, x_length - 1, y_length - 1]


def _aligned(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Of [N, rows, columns], the least sum of distances along a way from the first corner to each place, by steps down,
    right or both, and the number of its places; both [N, rows, columns]."""
    total = torch.full_like(distances, math.inf)
    steps = torch.zeros_like(distances)
    for row in range(distances.shape[1]):
        for column in range(distances.shape[2]):
            before = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
            before = [place for place in before if min(place) >= 0]
            if not before:
                total[:, row, column], steps[:, row, column] = distances[:, row, column], 1
                continue
            sums = torch.stack([total[:, i, j] for i, j in before])
            least, chosen = sums.min(0)
            counts = torch.stack([steps[:, i, j] for i, j in before])
            total[:, row, column] = least + distances[:, row, column]
            steps[:, row, column] = counts.gather(0, chosen[None])[0] + 1
    return total, steps
