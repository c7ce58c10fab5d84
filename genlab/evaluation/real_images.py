"""A few of a dataset's images, on which extractors are calibrated and checked."""

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from genlab.data.loading import as_examples
from genlab.data.source import Source

MOST = 1_000
"""Images of each modelled field."""

_VALUES = 2**22  # of a chunk of images


def real_images(source: Source, split: str) -> Iterator[Tensor]:
    """At most `MOST` evenly spaced images of each modelled field, float32 [n, C, H, W] in [0, 1], in small chunks."""
    tables = source.open(split)
    for name in source.spec.domains:
        field = source.spec[name]
        (table,) = (table for table in tables if name in table.rows(torch.zeros(1).long()))
        rows = torch.linspace(0, len(table) - 1, min(len(table), MOST), dtype=torch.float64).round().long()
        for part in rows.split(max(1, _VALUES // prod(field.shape))):
            yield as_examples(table.rows(part)[name], field)


def count_images(source: Source, split: str) -> int:
    """Images of the smallest modelled field."""
    return min(map(len, source.open(split)))
