"""Mel-cepstral distortion: by hand, under changes of time and loudness, and by the length of each side."""

import math

import torch

from genlab.metrics.cepstral import mel_cepstra, mel_cepstral_distortion


def lengths(x):
    return torch.full((len(x),), x.shape[1])


def test_cepstra_of_known_levels():
    bins = 64
    w = math.pi * (torch.arange(bins, dtype=torch.float64) + 0.5) / bins
    logarithm = 3 + 0.5 * torch.cos(2 * w) - 0.2 * torch.cos(5 * w)  # ln level
    found = mel_cepstra((20 / math.log(10) * logarithm)[None, :, None])
    wanted = torch.zeros(1, 1, 13, dtype=torch.float64)
    wanted[0, 0, 1], wanted[0, 0, 4] = 0.5, -0.2
    torch.testing.assert_close(found, wanted)


def test_by_hand():
    x, y = torch.zeros(1, 2, 3), torch.tensor([[[0.3, 0.4, 0.0], [0.0, 0.0, 0.1]]])
    wanted = 10 / math.log(10) * math.sqrt(2) * (0.5 + 0.1) / 2  # the diagonal is the shortest way
    torch.testing.assert_close(mel_cepstral_distortion(x, y, lengths(x), lengths(y)), torch.tensor([wanted]))


def test_speed_is_no_distortion():
    x = torch.randn(2, 6, 4)
    slow = x.repeat_interleave(2, 1)
    torch.testing.assert_close(mel_cepstral_distortion(x, slow, lengths(x), lengths(slow)), torch.zeros(2))


def test_frames_beyond_the_length_do_not_count():
    x = torch.randn(1, 5, 4)
    longer = torch.cat([x, 100 * torch.ones(1, 3, 4)], 1)
    found = mel_cepstral_distortion(x, longer, torch.tensor([5]), torch.tensor([5]))
    torch.testing.assert_close(found, torch.zeros(1))
