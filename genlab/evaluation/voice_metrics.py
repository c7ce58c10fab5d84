"""Does translated speech sound like the other speaker, and does it still say the same?

Two small classifiers that learn from the training recordings alone read who speaks and what is said. Mel-cepstral
distortion compares with what the other speaker said. All measure the sound that a listener gets: translations are
turned into sound and analysed again.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contract.data import Batch, image_spec
from genlab.contract.field import Field
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source
from genlab.evaluation.classifier import Classifier, load_classifier
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.translation_metrics import directions_of
from genlab.inference.run import Run
from genlab.media.spectrogram import sound, spectrogram
from genlab.metrics.catalogue import BASELINES
from genlab.metrics.cepstral import mel_cepstra, mel_cepstral_distortion
from genlab.system.seeding import seeded

_AUDIBLE = -50
"""Level in dB, relative to a full-scale tone, from which on a frame counts for the distortion."""


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
    field, values = run.data["a"], {}
    real = {name: tables[name][name].float() / 255 for name in "ab"}
    said = {name: tables[name][f"{name}_label"] for name in "ab"}
    for domain, other in directions_of(run):
        heard = {"": _translated(run, context, seed, domain, other, len(real[domain])), "unconverted": real[domain]}
        heard = {name: _heard(x, field) if name == "" else x for name, x in heard.items()}
        details = {"images": len(real[domain]), "direction": f"{domain} to {other}"}
        target = torch.full_like(said[domain], "ab".index(other))
        for name, reader, wanted in (("voice_conversion", who, target), ("speech_kept", what, said[domain])):
            found = {answer: _share(reader, x, wanted) for answer, x in heard.items()}
            beside = {"real recordings": reader.accuracy, "unconverted": found["unconverted"]}
            told = {**details, "classifier_sha256": reader.identity, BASELINES: beside}
            values[f"{name}/{domain}"] = MetricValue(found[""], details=told)
        apart = {name: _distortion(x, said[domain], real[other], said[other], field) for name, x in heard.items()}
        again = _heard(real[other], field)
        beside = {"unconverted": apart["unconverted"].mean().item(),
                  "another take": _distortion(real[other], said[other], real[other], said[other], field).mean().item(),
                  "resynthesis": _pairwise(again, real[other], field).mean().item()}  # fmt: skip
        column = apart[""]
        values[f"mel_cepstral_distortion/{domain}"] = MetricValue(
            column.mean().item(), column.std().item(), "recordings", {**details, "unit": "dB", BASELINES: beside}
        )
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
    with torch.no_grad():
        return (reader.network(x)[1].argmax(1) == wanted).double().mean().item()


def _distortion(x: Tensor, said: Tensor, others: Tensor, others_said: Tensor, field: Field) -> Tensor:
    """Of each of x [N], the mean distortion to those of `others` that say the same; not to itself, in its own set."""
    rows, columns = ((said[:, None] == others_said) & ~_same(x, others)).nonzero().unbind(1)
    found = _pairwise(x[rows], others[columns], field)
    counts = rows.bincount(minlength=len(x))
    sums = torch.zeros(len(x), dtype=found.dtype).index_add_(0, rows, found)
    return sums[counts > 0] / counts[counts > 0]


def _same(x: Tensor, others: Tensor) -> Tensor:
    """[N, M], whether two are one recording: where both are one set."""
    return torch.eye(len(x), dtype=torch.bool) if x is others else torch.zeros(len(x), len(others), dtype=torch.bool)


def _pairwise(x: Tensor, y: Tensor, field: Field) -> Tensor:
    """Distortion [N] in dB of spectrograms [N, 1, bins, frames], over the frames that can be heard."""
    assert field.spectrogram
    floor = field.spectrogram.floor
    sides = [list(_audible(floor * (1 - side.squeeze(1).double()))) for side in (x, y)]
    cepstra = [mel_cepstra(torch.stack([levels for levels, _ in side])) for side in sides]
    lengths = [torch.tensor([length for _, length in side]) for side in sides]
    return mel_cepstral_distortion(*cepstra, *lengths)


def _audible(decibels: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Of each of [N, bins, frames], its audible frames moved to the front, and their number."""
    for levels in decibels:
        loud = (levels.amax(0) > _AUDIBLE).nonzero().flatten()
        first, last = (loud[0].item(), loud[-1].item()) if len(loud) else (0, 0)
        yield levels.roll(-int(first), 1), int(last - first) + 1
