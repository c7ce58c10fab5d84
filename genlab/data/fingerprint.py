"""Whether data are those that a run began with."""

import hashlib

import torch

from genlab.data.loading import Loader

_HASHED_EXAMPLES = 128


def check_data(first: dict, found: dict) -> None:
    """`ValueError` unless `found`, a fingerprint, is that of the data which a run began with, by its record."""
    if (known := first["data"]) != found:
        raise ValueError(
            f"the training data is not what this run began with ({known['examples']} examples then, "
            f"{found['examples']} now): put it back, or begin a new run: genlab train ... init_from=RUN"
        )


def fingerprint(loader: Loader) -> dict:
    """Number of examples and a hash of an evenly spaced subset; the same for data in memory and streamed data."""
    digest = hashlib.sha256()
    for table, stream in zip(loader.tables, loader.streams, strict=True):
        rows = torch.linspace(0, stream.size - 1, min(_HASHED_EXAMPLES, stream.size), dtype=torch.float64).long()
        for value in table.rows(rows).values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
    return {"examples": loader.size, "sha256": digest.hexdigest()}
