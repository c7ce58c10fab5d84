"""Does translated speech sound like the other speaker, and does it still say the same?

Two small classifiers that learn from the training recordings alone read who speaks and what is said. Mel-cepstral
distortion compares with what the other speaker said. All measure the sound that a listener gets: translations are
turned into sound and analysed again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.contract.data import DataSpec
from genlab.contract.field import Field
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.evaluation.classifier import Classifier, load_classifier
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.translation_metrics import over_translations
from genlab.inference.run import Run
from genlab.media.spectrogram import mel_filters, sound, spectrogram
from genlab.metrics.catalogue import BASELINES
from genlab.metrics.cepstral import mel_cepstra, mel_cepstral_distortion
from genlab.system.device import computing

_AUDIBLE = -50
"""Level in dB, relative to a full-scale tone, from which on a frame counts for the distortion."""

_MELS = 64
"""Bins of the mel scale for cepstra of spectrograms that are not on it."""

_LEAST = 1e-10

_PAIRS = 1_000
"""Pairs of recordings aligned at once."""


class _Speech(NamedTuple):
    """Spectrograms [N, 1, bins, frames] of recordings, and the class of what is said, [N]."""

    x: Tensor
    said: Tensor


class _Read(Source):
    """The recordings of both domains as one set: labelled by their domain, or by what is said."""

    def __init__(self, source: Source, by_domain: bool):
        field, said = source.spec["a"], source.spec["a_label"]
        self.source, self.by_domain = source, by_domain
        self.spec = DataSpec({"x": field, "label": Field("label", size=2) if by_domain else said})
        self.sizes = {split: sum(map(len, source.open(split))) for split in SPLITS}

    def open(self, split: str) -> list[Examples]:
        tables = [table.load() for table in self.source.open(split)]
        labels = [torch.full_like(table[f"{name}_label"], number) if self.by_domain else table[f"{name}_label"]
                  for number, (name, table) in enumerate(zip("ab", tables, strict=True))]  # fmt: skip
        x = torch.cat([table[name] for name, table in zip("ab", tables, strict=True)])
        return [ArrayExamples(x=x, label=torch.cat(labels))]


def measure_voices(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """Per domain: voice_conversion, the share of translations that are read as the other speaker's; speech_kept, the
    share of which the right word is read; mel_cepstral_distortion to what the other speaker said, in dB, mean over all
    recordings of the same word."""
    who, what = (load_classifier(_Read(context.whole, by_domain)) for by_domain in (True, False))
    tables = {name: table.load() for name, table in zip("ab", context.source.open(context.split), strict=True)}
    real = {name: _Speech(tables[name][name].float() / 255, tables[name][f"{name}_label"]) for name in "ab"}
    heard = {name: _heard(real[name].x, run.data[name]) for name in "ab"}
    values: dict[str, MetricValue] = {}
    for domain, other in run.model.directions:
        source, target = real[domain], real[other]
        made = over_translations(run, context, seed, (domain, other), lambda batch, rows, y: y.float().cpu())
        converted = _heard(torch.cat(made)[: len(source.x)], run.data[other])
        details = {"images": len(source.x), "direction": f"{domain} to {other}"}
        wanted = torch.full_like(source.said, "ab".index(other))
        for name, reader, answer in (("voice_conversion", who, wanted), ("speech_kept", what, source.said)):
            beside = {"real recordings": reader.accuracy, "unconverted": _share(reader, heard[domain], answer)}
            told = {**details, "classifier_sha256": reader.identity, BASELINES: beside}
            values[f"{name}/{domain}"] = MetricValue(_share(reader, converted, answer), details=told)
        takes, words = _cepstra(target.x, run.data[other]), (source.said, target.said)
        apart = {
            "": _distortion(_cepstra(converted, run.data[other]), takes, *words),
            "unconverted": _distortion(_cepstra(heard[domain], run.data[other]), takes, *words),
            "another take": _distortion(takes, takes, target.said, target.said, own=True),
            "resynthesis": _distances(takes, _cepstra(heard[other], run.data[other]), torch.arange(len(target.x))),
        }
        if len(column := apart.pop("")):  # none if the speakers say no word in common
            beside = {name: distances.mean().item() for name, distances in apart.items() if len(distances)}
            std = column.std().item() if len(column) > 1 else None
            told = {**details, "unit": "dB", BASELINES: beside}
            values[f"mel_cepstral_distortion/{domain}"] = MetricValue(column.mean().item(), std, "recordings", told)
    return values


def _heard(x: Tensor, field: Field) -> Tensor:
    """Spectrograms [N, 1, bins, frames] of the sound that is made of spectrograms."""
    assert field.spectrogram
    return torch.cat([spectrogram(sound(part, field.spectrogram), field.spectrogram) for part in x.split(50)])


def _share(reader: Classifier, x: Tensor, wanted: Tensor) -> float:
    with torch.no_grad(), computing(x.device, "fp32"):
        return (reader.network(x)[1].argmax(1) == wanted).double().mean().item()


class _Cepstra(NamedTuple):
    """Cepstra [N, frames, D] of recordings, and how many of their frames count, [N]."""

    values: Tensor
    lengths: Tensor


def _cepstra(x: Tensor, field: Field) -> _Cepstra:
    """Of spectrograms [N, 1, bins, frames], from the first audible frame to the last."""
    s = field.spectrogram
    assert s
    decibels = s.floor * (1 - x.squeeze(1).double())
    if not s.mels:
        decibels = 20 * (mel_filters(replace(s, mels=_MELS)) @ 10 ** (decibels / 20)).clamp(min=_LEAST).log10()
    parts = list(_audible(decibels, max(_AUDIBLE, s.floor)))
    return _Cepstra(mel_cepstra(torch.stack([levels for levels, _ in parts])), torch.tensor([n for _, n in parts]))


def _audible(decibels: Tensor, least: float) -> Iterator[tuple[Tensor, int]]:
    """Of each of [N, bins, frames], its frames above a level moved to the front, and their number."""
    for levels in decibels:
        loud = (levels.amax(0) > least).nonzero().flatten()
        first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)
        yield levels.roll(-first, 1), last - first + 1


def _distortion(x: _Cepstra, others: _Cepstra, said: Tensor, others_said: Tensor, own: bool = False) -> Tensor:
    """Mean distortion in dB of each of x to those of `others` that say the same; of those of x of which there are any.
    own: x and `others` are one set, in which none is compared with itself."""
    same = said[:, None] == others_said
    if own:
        same.fill_diagonal_(False)
    rows, columns = same.nonzero().unbind(1)
    found = _distances(x, others, rows, columns)
    counts = rows.bincount(minlength=len(said))
    sums = torch.zeros(len(said), dtype=torch.double).index_add_(0, rows, found)
    return sums[counts > 0] / counts[counts > 0]


def _distances(x: _Cepstra, y: _Cepstra, rows: Tensor, columns: Tensor | None = None) -> Tensor:
    """Distortion [P] in dB of the pairs of x at `rows` [P] and y at `columns` [P], by default at the same rows."""
    columns = rows if columns is None else columns
    parts = zip(rows.split(_PAIRS), columns.split(_PAIRS), strict=True)
    found = [mel_cepstral_distortion(x.values[i], y.values[j], x.lengths[i], y.lengths[j]) for i, j in parts]
    return torch.cat(found) if len(rows) else torch.empty(0, dtype=torch.double)
