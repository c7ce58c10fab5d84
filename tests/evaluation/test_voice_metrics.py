"""Voices: translations that are the other speaker's words, and those that are not."""

from types import SimpleNamespace

import pytest
import torch
from test_evaluate import subject

from genlab.contract.data import DataSpec
from genlab.contract.field import Field, Spectrogram
from genlab.data.source import ArrayExamples
from genlab.evaluation import classifier, voice_metrics
from genlab.evaluation.choosing import choose
from genlab.evaluation.evaluate import evaluate
from genlab.media.spectrogram import num_samples, spectrogram
from genlab.metrics.catalogue import BASELINES

S = Spectrogram()
FIELD = Field("image", (1, 64, 16), spectrogram=S)
LABEL = Field("label", size=2, names=("up", "down"))


def speech(pitch, words, seed):
    """Takes of the words 0 (rising) and 1 (falling) by a speaker, uint8 [N, 1, 64, 16]."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(num_samples(S, 16)) / S.rate
    takes = []
    for word in words:
        glide = (1 - 2 * word) * 1500 * time * (1 + 0.2 * torch.rand((), generator=generator))
        phase = 2 * torch.pi * torch.cumsum((pitch + 300 * word + glide) / S.rate, 0)
        takes.append(sum(torch.sin(k * phase) / k for k in (1, 2, 3)) / 2)
    return (spectrogram(torch.stack(takes), S) * 255).round().byte()


def source():
    spec = DataSpec({"a": FIELD, "b": FIELD, "a_label": LABEL, "b_label": LABEL})
    words = {"train": torch.arange(40) % 2, "validation": torch.arange(6) % 2}
    tables = {
        split: [
            ArrayExamples(**{side: speech(pitch, said, seed), f"{side}_label": said.clone()})
            for side, pitch, seed in (("a", 300, 2 * number), ("b", 900, 2 * number + 1))
        ]
        for number, (split, said) in enumerate(words.items())
    }
    sizes = {split: len(said) for split, said in words.items()}
    return SimpleNamespace(spec=spec, sizes=sizes, open=tables.__getitem__, redrawn=None, protocol={}, modes=None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def measured(monkeypatch, cache):
    """Measures translations that `translate(x, to)` makes."""
    monkeypatch.setenv("GENLAB_CACHE", str(cache))
    for key, value in {"steps": 150, "batch_size": 16, "widths": [4, 8, 8]}.items():
        monkeypatch.setitem(classifier.RECIPE, key, value)
    pairs = source()
    run, context = subject("cyclegan", source=pairs)

    def measure(translate):
        run.model.translate = translate
        return evaluate(run, context, ["voices"])

    return SimpleNamespace(measure=measure, tables=dict(zip("ab", pairs.open("validation"), strict=True)))


def test_the_other_speakers_words_are_recognized(measured, monkeypatch):
    monkeypatch.setattr(voice_metrics, "_PAIRS", 2)
    entries = measured.measure(lambda x, to: measured.tables[to].load()[to][: len(x)].float() / 255)
    for side in "ab":
        assert entries[f"voice_conversion/{side}"]["value"] == 1
        assert entries[f"speech_kept/{side}"]["value"] == 1
        distortion = entries[f"mel_cepstral_distortion/{side}"]
        beside = distortion["protocol"][BASELINES]
        assert distortion["value"] < beside["unconverted"] and beside["another take"] < beside["unconverted"]


def test_what_is_not_converted_is_told_from_what_is(measured):
    entries = measured.measure(lambda x, to: x)
    assert entries["voice_conversion/a"]["value"] == 0 and entries["speech_kept/a"]["value"] == 1
    beside = entries["mel_cepstral_distortion/a"]["protocol"][BASELINES]
    assert entries["mel_cepstral_distortion/a"]["value"] == pytest.approx(beside["unconverted"], rel=0.2)


def test_words_that_the_other_speaker_does_not_say_have_no_distortion(measured):
    for side, word in (("a", 0), ("b", 1)):
        measured.tables[side].fields[f"{side}_label"].fill_(word)
    assert "mel_cepstral_distortion/a" not in measured.measure(lambda x, to: x)


def test_images_have_no_voices():
    run, context = subject("cyclegan")
    assert "voices" not in choose(run, context, None)
