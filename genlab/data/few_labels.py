"""Labelled examples of which only a few keep their labels, for learning from both."""

from dataclasses import replace

import torch
from torch import Tensor

from genlab.contract.field import Field
from genlab.data.source import SPLITS, ArrayExamples, Examples, Source, StoredExamples
from genlab.system.seeding import mix


class FewLabels(Source):
    """`source`, with the field `labelled`: how many training examples the label of one stands for, 0 for all but
    `count` of them, which `seed` draws evenly over the classes. Held-out examples keep their labels, of weight 1."""

    def __init__(self, source: Source, count: int, seed: int = 0):
        classes, examples = source.spec.num_classes, source.sizes["train"]
        if not classes or "x" not in source.spec:
            raise ValueError(f"dataset.num_labels={count}: this dataset has no labels; leave it out")
        if not classes <= count <= examples:
            raise ValueError(f"dataset.num_labels={count}: must be {classes} (one for each class) to {examples}")
        self.source, self.count, self.seed, self.weight = source, count, seed, round(examples / count)
        labelled = {"labelled": Field("label", size=self.weight + 1)}
        self.spec = replace(source.spec, fields={**source.spec.fields, **labelled})
        self.sizes, self.notes, self.categorical_factors = source.sizes, source.notes, source.categorical_factors
        self.modes, self.log_density = source.modes, source.log_density
        self.protocol = {"num_labels": str(count), **source.protocol}

    def open(self, split: str) -> list[Examples]:
        (table,) = self.source.open(split)
        marks = torch.ones(len(table), dtype=torch.long)
        if split == "train":
            known = getattr(table, "labels", None)  # images may not have to be decoded for their labels
            marks = self._chosen(table.load()["label"] if known is None else known)
        if isinstance(table, ArrayExamples):
            return [ArrayExamples(**table.load(), labelled=marks)]
        return [(StoredMarked if isinstance(table, StoredExamples) else Marked)(table, marks)]

    def _chosen(self, labels: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(mix(self.seed, SPLITS.index("train")))
        order = torch.randperm(len(labels), generator=generator)
        order = order[labels[order].sort(stable=True).indices]  # by class, at random within each
        counts = labels.bincount()
        turn = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
        marks = torch.zeros(len(labels), dtype=torch.long)
        marks[order[turn.sort(stable=True).indices[: self.count]]] = self.weight
        return marks


class Marked(Examples):
    """A table with the field `labelled`, int64 [N]."""

    def __init__(self, table: Examples, marks: Tensor):
        self.table, self.marks, self.nbytes = table, marks, table.nbytes
        self.paths = getattr(table, "paths", [])

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return {**self.table.rows(index), "labelled": self.marks[index]}

    def load(self) -> dict[str, Tensor]:
        return {**self.table.load(), "labelled": self.marks}


class StoredMarked(Marked, StoredExamples):
    """The same of a table that the training process reads from disk itself."""

    table: StoredExamples

    def prefetch(self, index: Tensor) -> None:
        self.table.prefetch(index)
