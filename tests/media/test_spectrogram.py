"""Spectrograms: levels of known tones, the mel scale against torchaudio, and the way back to sound."""

import math

import pytest
import torch
import torchaudio.functional as reference

from genlab.contract.field import Field, Spectrogram
from genlab.contract.model import Grid
from genlab.media.kinds import kind_of
from genlab.media.spectrogram import mel_filters, num_bins, num_samples, sound, spectrogram

LINEAR, MEL = Spectrogram(mels=0), Spectrogram()


def tone(frequency, amplitude=1.0, frames=64, rate=8000):
    time = torch.arange(num_samples(MEL, frames)) / rate
    return amplitude * torch.sin(2 * math.pi * frequency * time)[None]


def test_a_tone_has_its_level_at_its_frequency():
    x = spectrogram(tone(1000, 0.1), LINEAR)[0, 0]
    assert x.shape == (num_bins(LINEAR), 64) == (257, 64)
    decibels = LINEAR.floor * (1 - x[:, 32])
    assert decibels.argmax() == 64  # of 256 up to 4,000 Hz
    assert decibels.max() == pytest.approx(-20, abs=0.1)


def test_silence_is_0_and_noise_lies_in_the_range():
    assert not spectrogram(torch.zeros(1, 4032), MEL).any()
    x = spectrogram(torch.rand(2, 4032) * 2 - 1, MEL)
    assert x.shape == (2, 1, 64, 64) and x.min() >= 0 and x.max() <= 1


@pytest.mark.parametrize("s", [MEL, Spectrogram(rate=16000, window=512, mels=80)])
def test_mel_filters_are_those_of_torchaudio(s):
    wanted = reference.melscale_fbanks(s.window + 1, 0.0, s.rate / 2, s.mels, s.rate, None, "htk").T
    torch.testing.assert_close(mel_filters(s).float(), wanted, atol=1e-4, rtol=0)
    assert mel_filters(s).sum(1).min() > 0


def test_the_transform_is_that_of_torchaudio():
    wave, window = torch.rand(1, 4032) * 2 - 1, torch.hann_window(256)
    power = reference.spectrogram(wave, 0, window, 512, 64, 256, 1.0, normalized=False, pad_mode="constant")
    wanted = (1 - 20 * (power / 64).clamp(min=1e-10).log10() / LINEAR.floor).clamp(0, 1)
    torch.testing.assert_close(spectrogram(wave, LINEAR)[0], wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("s, decibels", [(LINEAR, 1.5), (MEL, 1.5)])
def test_the_sound_has_the_spectrogram(s, decibels):
    wave = sum(tone(frequency, 0.2) * torch.linspace(0, 1, 4032) for frequency in (300, 700, 1900))
    x = spectrogram(wave, s)
    again = sound(x, s)
    assert again.shape == wave.shape
    loud = x > 0.5  # within 40 dB of the loudest
    assert (spectrogram(again, s) - x).abs()[loud].mean() * -s.floor < decibels


def test_the_way_back_is_as_near_as_that_of_torchaudio():
    """Griffin and Lim's algorithm of torchaudio, with as many rounds, on a sound with many phases."""
    wave = torch.rand(1, 4032, generator=torch.Generator().manual_seed(0)) - 0.5
    x = spectrogram(wave, LINEAR)
    levels = 10 ** (LINEAR.floor * (1 - x[:, 0]) / 20) * 64
    torch.manual_seed(0)
    window = torch.hann_window(256)
    theirs = reference.griffinlim(levels, window, 512, 64, 256, 1.0, 60, 0.99, 4032, rand_init=True)
    errors = [(spectrogram(found, LINEAR) - x).abs().mean() for found in (sound(x, LINEAR), theirs)]
    assert errors[0] < 1.1 * errors[1]


@pytest.mark.parametrize("key, value", [("hop", 200), ("rate", 0), ("mels", 300), ("floor", 0)])
def test_impossible_settings_are_refused(key, value):
    with pytest.raises(ValueError, match=rf"dataset\.{key}={value}"):
        Spectrogram(**{key: value})


def test_rows_with_names_can_each_be_heard():
    grid = Grid(torch.rand(6, 8, 1, 64, 16), rows=["a", "a to b", "back to a"])
    heard = kind_of(Field("image", (1, 64, 16), spectrogram=MEL)).heard(grid)
    assert list(heard) == [f"{row} {number}" for row in ("a", "a to b", "back to a") for number in (1, 2)]
