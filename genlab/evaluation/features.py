"""The extractors by name. They turn images into features for comparison, and into class probabilities if they know
classes.

    classifier   a small classifier trained on the dataset's own labels (`classifier.py`)
    random-conv  responses of random filters at several scales (`random_conv.py`)
    pixels       the pixels themselves
    values       the entries of points
    inception    the Inception network of the published Frechet distances (`inception.py`)
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contract.data import Field
from genlab.contract.settings import EXTRACTORS
from genlab.data.loading import as_examples
from genlab.data.source import Examples, Source
from genlab.evaluation.classifier import LARGEST_SIDE, NUM_FEATURES, load_classifier, reduce
from genlab.evaluation.extractor import Extractor, Reading
from genlab.evaluation.inception import Inception
from genlab.evaluation.random_conv import RandomConv
from genlab.media.kinds import KINDS, shown_kind
from genlab.system.portions import rows_at_once
from genlab.system.progress import progress


class Pixels(Extractor):
    """Pixels. Images larger than 32x32 are first average-pooled to at most 32 pixels per side."""

    name = "pixels"

    def __init__(self):
        self.description = f"pixels in [0, 1], sides above {LARGEST_SIDE} averaged over areas to {LARGEST_SIDE}"
        self.identity = hashlib.sha256(self.description.encode()).hexdigest()

    def _read(self, x: Tensor) -> Reading:
        return Reading(reduce(x.float(), LARGEST_SIDE).flatten(1), x.new_empty(len(x), 0))


class Values(Extractor):
    name = "values"
    description = "the entries of points, in the data's units"
    identity = hashlib.sha256(description.encode()).hexdigest()

    def _read(self, x: Tensor) -> Reading:
        return Reading(x.float().flatten(1), x.new_empty(len(x), 0))


class ClassifierFeatures(Extractor):
    """The last hidden layer of a classifier trained on the labels of `source`."""

    name = "classifier"
    reads_labels = True

    def __init__(self, source: Source, device: torch.device | str, seed: int = 0):
        classifier = load_classifier(source, seed)
        self.device, self.network = device, classifier.network.to(device)
        self.shape, self.num_classes = source.spec.shape, source.spec.num_classes
        self.identity, self.accuracy, self.chance = classifier.identity, classifier.accuracy, classifier.chance
        self.description = (
            f"last hidden layer ({NUM_FEATURES} units) of a convolutional classifier of the dataset's "
            f"{self.num_classes} classes, validation accuracy {self.accuracy:.4f}, seed {seed}; sides above "
            f"{LARGEST_SIDE} averaged over areas to {LARGEST_SIDE}"
        )

    def weaknesses(self) -> list[str]:
        bound = (1 + self.chance) / 2
        if self.accuracy >= bound and self.accuracy > self.chance:
            return []
        return [
            f"its accuracy on held-out images is {self.accuracy:.3f}, and must be {bound:.3f}, halfway between that of "
            f"always naming the most frequent class ({self.chance:.3f}) and 1"
        ]

    def _read(self, x: Tensor) -> Reading:
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"extractor=classifier: its classifier reads images {list(self.shape)}, not {list(x.shape[1:])}; give "
                "the dataset that the run was trained on"
            )
        features, logits = self.network(x.to(self.device, torch.float32))
        return Reading(features, logits.softmax(1))


def make_extractor(
    name: str, source: Source | None = None, *, device: torch.device | str = "cpu", seed: int = 0
) -> Extractor:
    """The extractor `name`, unchecked; `genlab.evaluation.controls` checks it, and chooses for "auto".

    source: needed only by "classifier" and "random-conv". seed: of what these draw. `ValueError` if there is no such
    extractor, if "classifier" has no labels to learn from, or if torch-fidelity or its weights are missing.
    """
    kind = KINDS["image"] if source is None else shown_kind(source.spec)
    if name not in EXTRACTORS:
        raise ValueError(f"extractor={name}: no such extractor; use {', '.join(EXTRACTORS)}")
    if name not in kind.extractors:
        raise ValueError(f"extractor={name}: does not read {kind.plural}; use extractor=auto")
    if name in ("values", "pixels"):
        return Values() if name == "values" else Pixels()
    if name == "inception":
        return Inception(device)
    if source is None:
        raise ValueError(f"extractor={name}: it learns from a dataset; give dataset=..., or extractor=pixels")
    return (ClassifierFeatures if name == "classifier" else RandomConv)(source, device, seed)


def read_table(
    table: Examples,
    extractor: Extractor,
    field: Field,
    index: Tensor | None = None,
    *,
    name: str = "x",
    chunk: int = 500,
    shown: bool = True,
) -> Iterator[Reading]:
    """Readings of a table's field `name`, up to `chunk` rows at a time. index: int64 [n], None for all in order. shown:
    whether their progress is."""
    parts = (torch.arange(len(table)) if index is None else index).split(rows_at_once(field.shape, most=chunk))
    with progress("reading images", sum(map(len, parts)), shown) as count_on:
        for rows in parts:
            yield extractor.read(as_examples(table.rows(rows)[name], field))
            count_on(len(rows))
