"""From sound to spectrograms and back.

The way back guesses what a spectrogram leaves out: levels of the window's frequencies from those of mel bins, by
nonnegative least squares, and phases, such that the spectrogram of the sound is the given one.

References:
    Griffin, Lim 1984, Signal Estimation from Modified Short-Time Fourier Transform,
        https://doi.org/10.1109/TASSP.1984.1164317
    Perraudin, Balazs, Sondergaard 2013, A Fast Griffin-Lim Algorithm, https://doi.org/10.1109/WASPAA.2013.6701851
    Lee, Seung 2001, Algorithms for Non-negative Matrix Factorization (the multiplicative update)
"""

import math

import torch
from torch import Tensor

from genlab.contract.field import Spectrogram

_ROUNDS, _MOMENTUM = 60, 0.99  # of Griffin and Lim's algorithm
_LEAST_SQUARES_ROUNDS = 200
_LEAST = 1e-10


def num_bins(s: Spectrogram) -> int:
    """Height of the spectrogram."""
    return s.mels or s.window + 1


def num_samples(s: Spectrogram, frames: int) -> int:
    """Samples of the sound that has this many frames."""
    return s.hop * (frames - 1)


def mel_filters(s: Spectrogram) -> Tensor:
    """[mels, window + 1]: triangles, even on the mel scale 2595 log10(1 + f / 700), from 0 to half the rate."""
    frequencies = torch.linspace(0, s.rate / 2, s.window + 1, dtype=torch.float64)
    highest = 2595 * math.log10(1 + s.rate / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, highest, s.mels + 2, dtype=torch.float64) / 2595) - 1)
    lower, centre, upper = (corners[i : s.mels + i, None] for i in range(3))
    rising, falling = (frequencies - lower) / (centre - lower), (upper - frequencies) / (upper - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def spectrogram(wave: Tensor, s: Spectrogram) -> Tensor:
    """Sound [N, T] in [-1, 1] to [N, 1, bins, frames] in [0, 1], with 1 + T // hop frames."""
    levels = _transform(wave.double(), s).abs() / _full_scale(s)
    if s.mels:
        filters = mel_filters(s)
        levels = filters / filters.sum(1, keepdim=True).clamp(min=_LEAST) @ levels
    decibels = 20 * levels.clamp(min=_LEAST).log10()
    return (1 - decibels / s.floor).clamp(0, 1).unsqueeze(1).float()


def sound(x: Tensor, s: Spectrogram) -> Tensor:
    """The inverse of `spectrogram`, about: [N, 1, bins, frames] in [0, 1] to sound [N, hop * (frames - 1)]."""
    x = x.squeeze(1).double()
    levels = torch.where(x > 0, 10 ** (s.floor * (1 - x) / 20), 0.0)
    if s.mels:
        filters = mel_filters(s)
        levels = _nonnegative_solution(filters / filters.sum(1, keepdim=True).clamp(min=_LEAST), levels)
    return _with_phases((levels * _full_scale(s)).float(), s).clamp(-1, 1)


def _nonnegative_solution(filters: Tensor, levels: Tensor) -> Tensor:
    """y >= 0 [N, window + 1, frames] with filters @ y near levels [N, mels, frames], in least squares."""
    wanted = filters.T @ levels
    y = wanted.clone()
    for _ in range(_LEAST_SQUARES_ROUNDS):
        y = y * wanted / (filters.T @ (filters @ y)).clamp(min=_LEAST)
    return y


def _with_phases(magnitudes: Tensor, s: Spectrogram) -> Tensor:
    """Sound [N, T] whose transform has about these magnitudes [N, window + 1, frames]; fixed initial phases."""
    length = num_samples(s, magnitudes.shape[2])
    angles = 2 * math.pi * torch.rand(magnitudes.shape[1:], generator=torch.Generator().manual_seed(0))
    phases, before = torch.polar(torch.ones_like(magnitudes), angles.expand_as(magnitudes)), torch.zeros(())
    for _ in range(_ROUNDS):
        found = _transform(_inverse(magnitudes * phases, s, length), s)
        # Has the phases of t_n = c_n + momentum (c_n - c_(n-1)), from which Perraudin et al. go on.
        ahead = found - _MOMENTUM / (1 + _MOMENTUM) * before
        phases, before = ahead / ahead.abs().clamp(min=_LEAST), found
    return _inverse(magnitudes * phases, s, length)


def _transform(wave: Tensor, s: Spectrogram) -> Tensor:
    """Short-time Fourier transform: [N, T] to [N, window + 1, 1 + T // hop], complex."""
    window = torch.hann_window(s.window, dtype=wave.dtype)
    return torch.stft(
        wave, 2 * s.window, s.hop, s.window, window, center=True, pad_mode="constant", return_complex=True
    )


def _inverse(transform: Tensor, s: Spectrogram, length: int) -> Tensor:
    window = torch.hann_window(s.window, dtype=transform.real.dtype)
    return torch.istft(transform, 2 * s.window, s.hop, s.window, window, center=True, length=length)


def _full_scale(s: Spectrogram) -> float:
    """Magnitude of a tone of amplitude 1: half the sum of the Hann window."""
    return s.window / 4
