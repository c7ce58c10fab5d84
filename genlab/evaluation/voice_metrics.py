"""Does translated speech sound like the other speaker, and does it still say the same?

Two small classifiers that learn from the training recordings alone read who speaks and what is said. Mel-cepstral
distortion compares with what the other speaker said. All measure the sound that a listener gets: translations are
turned into sound and analysed again.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.contract.data import Batch, image_spec
from genlab.contract.field import Field
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.evaluation.classifier import Classifier, load_classifier
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.inference.run import Run
from genlab.media.spectrogram import sound, spectrogram
from genlab.metrics.catalogue import BASELINES
from genlab.metrics.cepstral import mel_cepstra, mel_cepstral_distortion
from genlab.system.device import computing
from genlab.system.seeding import seeded

_AUDIBLE = -50
"""Level in dB, relative to a full-scale tone, from which on a frame counts for the distortion."""

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
        self.spec = image_spec(field.shape, 2 if by_domain else said.size)
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
    values: dict[str, MetricValue] = {}
    for domain, other in run.model.directions:
        source, target = real[domain], real[other]
        converted = _heard(_translated(run, context, seed, domain, other, len(source.x)), run.data[other])
        details = {"images": len(source.x), "direction": f"{domain} to {other}"}
        wanted = torch.full_like(source.said, "ab".index(other))
        for name, reader, answer in (("voice_conversion", who, wanted), ("speech_kept", what, source.said)):
            beside = {"real recordings": reader.accuracy, "unconverted": _share(reader, source.x, answer)}
            told = {**details, "classifier_sha256": reader.identity, BASELINES: beside}
            values[f"{name}/{domain}"] = MetricValue(_share(reader, converted, answer), details=told)
        apart = _distortions(converted, source, target, run.data[other])
        if len(column := apart.pop("")):  # none if the speakers say no word in common
            beside = {name: distances.mean().item() for name, distances in apart.items() if len(distances)}
            std = column.std().item() if len(column) > 1 else None
            told = {**details, "unit": "dB", BASELINES: beside}
            values[f"mel_cepstral_distortion/{domain}"] = MetricValue(column.mean().item(), std, "recordings", told)
    return values


def _translated(run: Run, context: EvaluationContext, seed: int, domain: str, other: str, size: int) -> Tensor:
    def translate(number: int, batch: Batch) -> Tensor:
        with seeded(seed, number):
            return run.model.translate(batch[domain], other).float().cpu()

    return torch.cat(list(context.over_batches(f"translating {domain} to {other}", translate)))[:size]


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
    assert field.spectrogram
    parts = list(_audible(field.spectrogram.floor * (1 - x.squeeze(1).double())))
    return _Cepstra(mel_cepstra(torch.stack([levels for levels, _ in parts])), torch.tensor([n for _, n in parts]))


def _audible(decibels: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Of each of [N, bins, frames], its audible frames moved to the front, and their number."""
    for levels in decibels:
        loud = (levels.amax(0) > _AUDIBLE).nonzero().flatten()
        first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)
        yield levels.roll(-first, 1), last - first + 1


def _distortions(converted: Tensor, source: _Speech, target: _Speech, field: Field) -> dict[str, Tensor]:
    """Distortion in dB to recordings of the target, one value per recording: of converted speech (under ""), and of
    what it is compared with."""
    takes = _cepstra(target.x, field)
    found = {
        name: _distortion(_cepstra(x, field), takes, source.said, target.said)
        for name, x in (("", converted), ("unconverted", source.x))
    }
    found["another take"] = _distortion(takes, takes, target.said, target.said, own=True)
    found["resynthesis"] = _distances(takes, _cepstra(_heard(target.x, field), field), torch.arange(len(target.x)))
    return found


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
