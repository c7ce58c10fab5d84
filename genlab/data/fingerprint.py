"""Whether data are those that a run began with, or that a cached result was computed from."""

import hashlib
import json
import os
from typing import Any

import torch
from torch import Tensor

from genlab.data.loading import Loader
from genlab.data.source import ArrayExamples, Source
from genlab.system.portions import rows_at_once

_HASHED_EXAMPLES, _HASHED_IMAGES = 128, 1000


def check_data(first: dict, found: dict) -> None:
    """`ValueError` unless `found`, a fingerprint, is that of the data which a run began with, by its record."""
    if (known := first["data"]) != found:
        then, now = known["examples"], found["examples"]
        how = f"{then} examples then, {now} now" if then != now else f"{now} examples as then, with other content"
        raise ValueError(
            f"the training data is not what this run began with ({how}): put it back, say by dataset.path=PLACE where "
            "it is now, or begin a new run: genlab train ... init_from=RUN"
        )


def fingerprint(loader: Loader) -> dict:
    """Number of examples and a hash of an evenly spaced subset; the same for data in memory and streamed data."""
    digest = hashlib.sha256()
    for table, stream in zip(loader.tables, loader.streams, strict=True):
        rows = torch.linspace(0, stream.size - 1, min(_HASHED_EXAMPLES, stream.size), dtype=torch.float64).long()
        for value in table.rows(rows).values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
    return {"examples": loader.size, "sha256": digest.hexdigest()}


_MARKS = "labelled"
"""A field that says what a run is told of the data, which are the same without it."""


def data_fingerprint(source: Source, split: str = "train") -> str:
    """sha256 of a split: its spec, its sizes and all examples, if these are in memory. Of image files, the names and
    sizes of all and 1,000 evenly spaced images are hashed."""
    spec = source.spec.to_dict()
    spec["fields"].pop(_MARKS, None)
    digest = hashlib.sha256(json.dumps([spec, split]).encode())
    for table in source.open(split):
        digest.update(str(len(table)).encode())
        for path in getattr(table, "paths", []):
            digest.update(os.fsencode(f"{os.path.basename(path)} {os.path.getsize(path)}"))
        if isinstance(table, ArrayExamples):
            add_tensors(digest, table.load())
        else:
            count = min(_HASHED_IMAGES, len(table))
            rows = torch.linspace(0, len(table) - 1, count, dtype=torch.float64).long()
            for part in rows.split(rows_at_once(source.spec.shape, most=count)):
                add_tensors(digest, table.rows(part))
    return digest.hexdigest()


def add_tensors(digest: Any, tensors: dict[str, Tensor]) -> None:
    """Add names and values to a hash of `hashlib`."""
    for name, value in ((name, value) for name, value in tensors.items() if name != _MARKS):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().reshape(-1).view("uint8"))  # no copy of what is on the CPU
