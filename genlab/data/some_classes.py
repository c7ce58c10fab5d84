"""A labelled dataset without some of its classes: for finding them as outliers, or for the others alone."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genlab.data.listing import shown
from genlab.data.published import is_ready
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source, StoredExamples
from genlab.media.kinds import class_name, kind_of


class SomeClasses(Source):
    """The examples of `source` whose class is among `chosen`, or with key="without" is not, numbered anew in order.

    Labels are read at once. `ValueError` if the dataset has none, or its files are not there yet.
    """

    def __init__(self, source: Source, key: str, chosen: Any):
        label = source.spec.fields.get("label")
        said = f"dataset.{key}={chosen}"
        if label is None or "x" not in source.spec:
            raise ValueError(f"{said}: this dataset has no labels; leave it out")
        if not is_ready(source):
            raise ValueError(f"{said}: reads the labels first, and the files of this dataset are not there yet; "
                             "`genlab data dataset=NAME` gets them")  # fmt: skip
        names = [class_name(label, number) for number in range(label.size)]
        found = set()
        for value in chosen if isinstance(chosen, list) else [chosen]:
            try:
                found.add(int(kind_of(label).parse(label, value)))
            except ValueError as error:
                raise ValueError(f"dataset.{key}={value}: no such class; there are {shown(names)}") from error
        self.kept = [number for number in range(label.size) if (number in found) == (key == "only")]
        if not self.kept or len(self.kept) == label.size:
            raise ValueError(f"{said}: leaves {'no' if not self.kept else 'every'} class; there are {shown(names)}")
        self.source = source
        self._rows = {split: self._rows_of(split) for split in SPLITS}
        self.sizes = {split: len(rows) for split, rows in self._rows.items()}
        if empty := [split for split, size in self.sizes.items() if not size]:
            raise ValueError(f"{said}: leaves no {empty[0]} examples")
        few = replace(label, size=len(self.kept), names=tuple(names[number] for number in self.kept))
        fields = {**source.spec.fields, "label": few}
        self.spec = replace(source.spec, fields=fields, num_examples=self.sizes["train"])
        self.notes, self.categorical_factors = source.notes, source.categorical_factors
        self.protocol = {key: ", ".join(map(str, chosen if isinstance(chosen, list) else [chosen])), **source.protocol}

    def _rows_of(self, split: str) -> Tensor:
        (table,) = self.source.open(split)
        known = getattr(table, "labels", None)  # images need not be decoded for their labels
        labels = table.load()["label"] if known is None else known
        return torch.isin(labels, torch.tensor(self.kept)).nonzero().squeeze(1)

    def open(self, split: str) -> list[Examples]:
        (table,) = self.source.open(split)
        numbers = torch.full((self.source.spec.num_classes,), -1)
        numbers[self.kept] = torch.arange(len(self.kept))
        chosen = (StoredChosen if isinstance(table, StoredExamples) else Chosen)(table, self._rows[split], numbers)
        return [ArrayExamples(**chosen.load())] if isinstance(table, ArrayExamples) else [chosen]


class Chosen(Examples):
    """The given rows of a table. numbers: of the classes, by their old ones."""

    def __init__(self, table: Examples, rows: Tensor, numbers: Tensor):
        self.table, self.places, self.numbers = table, rows, numbers
        self.nbytes = table.nbytes * len(rows) // max(len(table), 1)
        paths, labels = getattr(table, "paths", []), getattr(table, "labels", None)
        self.paths = [paths[row] for row in rows.tolist()] if paths else []
        self.labels = None if labels is None else numbers[labels[rows]]

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        found = self.table.rows(self.places[index])
        return {**found, "label": self.numbers[found["label"]]}


class StoredChosen(Chosen, StoredExamples):
    """The same of a table that the training process reads from disk itself."""

    table: StoredExamples

    def prefetch(self, index: Tensor) -> None:
        self.table.prefetch(self.places[index])
