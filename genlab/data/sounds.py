"""Files of sound, read as spectrograms."""

import warnings
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.contract.field import Field
from genlab.data.decoding import UnreadableError
from genlab.media.spectrogram import num_samples, spectrogram

_LEAST = 1e-6

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

_QUIET = 10 ** (-40 / 20)
"""Level, relative to the loudest sample, below which the ends of a file are trimmed."""


def read_wave(path: str, rate: int, resample: bool) -> Tensor:
    """A sound of one channel, float32 [T] in [-1, 1] at `rate` samples a second. `UnreadableError` if it is none."""
    from scipy import io, signal  # half a second

    try:
        values, found = _decoded(path, io.wavfile)
        if values.ndim > 1:
            raise ValueError(f"it has {values.shape[1]} channels; mix them to one, as by sox IN OUT remix -")
        if not len(values) or not np.isfinite(values).all():
            raise ValueError("it holds no samples" if not len(values) else "it holds samples that are no numbers")
        if found != rate and not resample:
            raise ValueError(f"it has {found} samples a second, not {rate}; dataset.resample=true converts it, and "
                             f"dataset.rate={found} needs another window and hop")  # fmt: skip
    except Exception as error:
        raise UnreadableError(path, error, "sound") from error
    if found != rate:
        common = gcd(found, rate)
        values = signal.resample_poly(values, rate // common, found // common)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _decoded(path: str, wavfile: Any) -> tuple[np.ndarray, int]:
    """Samples in [-1, 1], [T] or [T, channels], and how many a second. wavfile: scipy's module."""
    if not path.lower().endswith(".wav"):
        try:
            import soundfile
        except ImportError as error:
            raise ValueError("it needs soundfile: pip install 'genlab[sound]'; .wav does not") from error
        return soundfile.read(path, dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that are no sound
        rate, stored = wavfile.read(path)
    if stored.dtype.kind == "f":
        return stored, rate
    half = 2.0 ** (8 * stored.dtype.itemsize - 1)
    return (stored - (half if stored.dtype == np.uint8 else 0)) / half, rate


def trimmed(wave: Tensor) -> Tensor:
    """Without the quiet ends."""
    loud = (wave.abs() > _QUIET * wave.abs().max()).nonzero().flatten()
    return wave[loud[0] : loud[-1] + 1] if len(loud) else wave


class Preparation(NamedTuple):
    """What is done to sounds before their spectrograms are made. resample: convert those of another rate, instead of
    refusing them. trim: cut off quiet ends. normalise: bring the loudest sample to full level."""

    resample: bool = False
    trim: bool = True
    normalise: bool = True


def read_sound(path: str, field: Field, prepare: Preparation) -> Tensor:
    """A file as an example of a field of sound, see `fitted`. `UnreadableError` if it is no sound."""
    assert field.spectrogram, "a field of sound"
    return fitted(prepared(path, field.spectrogram.rate, prepare), field)


def prepared(path: str, rate: int, prepare: Preparation) -> Tensor:
    """The sound of a file, float32 [T]. `UnreadableError` if it is none."""
    wave = read_wave(path, rate, prepare.resample)
    wave = trimmed(wave) if prepare.trim else wave
    return wave / wave.abs().max().clamp(min=_LEAST) if prepare.normalise else wave


def fitted(wave: Tensor, field: Field) -> Tensor:
    """A sound [T] as an example of a field, uint8 [1, bins, frames]: a longer one keeps its middle, a shorter one is
    followed by silence, which is 0."""
    assert field.spectrogram, "a field of sound"
    length = num_samples(field.spectrogram, field.shape[2])
    start = max(0, (len(wave) - length) // 2)
    part, padded = wave[start : start + length], torch.zeros(1, length)
    padded[0, : len(part)] = part
    return (spectrogram(padded, field.spectrogram)[0] * 255).round().byte()
