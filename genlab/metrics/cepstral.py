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
    count, rows, columns = distances.shape
    total = distances.new_full((count, rows + 1, columns + 1), math.inf)
    steps = torch.zeros_like(total)
    total[:, 0, 0] = 0
    for diagonal in range(2, rows + columns + 1):  # places of a diagonal do not depend on each other
        i = torch.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        least, chosen = torch.stack([total[:, row, column] for row, column in before]).min(0)
        taken = torch.stack([steps[:, row, column] for row, column in before]).gather(0, chosen[None])[0]
        total[:, i, j], steps[:, i, j] = least + distances[:, i - 1, j - 1], taken + 1
    return total[:, 1:, 1:], steps[:, 1:, 1:]
