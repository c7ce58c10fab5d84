"""A few of a dataset's images: those on which extractors are calibrated and checked, and those of a quick answer."""

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

from genlab.data.loading import as_examples
from genlab.data.source import Examples, Source
from genlab.system.portions import rows_at_once

MOST = 1_000
"""Images of each modelled field."""


def real_images(source: Source, split: str) -> Iterator[Tensor]:
    """At most `MOST` evenly spaced images of each modelled field, float32 [n, C, H, W] in [0, 1], in small chunks."""
    tables = source.open(split)
    for name in source.spec.domains:
        field = source.spec[name]
        (table,) = (table for table in tables if name in table.rows(torch.zeros(1).long()))
        rows = torch.linspace(0, len(table) - 1, min(len(table), MOST), dtype=torch.float64).round().long()
        for part in rows.split(rows_at_once(field.shape, most=MOST)):
            yield as_examples(table.rows(part)[name], field)


class Few(Examples):
    """At most `most` evenly spaced rows of a table."""

    def __init__(self, table: Examples, most: int):
        self.table, count = table, min(most, len(table))
        self.index = torch.linspace(0, len(table) - 1, count, dtype=torch.float64).round().long()
        self.nbytes = table.nbytes * count // len(table)

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return self.table.rows(self.index[index])


def with_few(source: Source, limited: str, most: int) -> Source:
    """`source` with at most `most` evenly spaced examples, of each domain, in the split `limited`."""
    if source.sizes[limited] <= most:
        return source
    few, whole = copy(source), source.open
    few.sizes = {**source.sizes, limited: most}
    few.open = lambda split: [Few(table, most) for table in whole(split)] if split == limited else whole(split)  # type: ignore[method-assign]
    return few


def count_images(source: Source, split: str) -> int:
    """Images of the smallest modelled field."""
    return min(map(len, source.open(split)))
