"""Other names of keys, choices, metrics and data: what users write who know them from elsewhere. Imports no torch."""

import re
from pathlib import Path

from genlab.commands.lines import quoted
from genlab.metrics.catalogue import METRICS

OTHER_KEYS = {
    "epochs": "max_epochs",
    "numepochs": "max_epochs",
    "steps": "max_steps",
    "numsteps": "max_steps",
    "iterations": "max_steps",
    "learningrate": "lr",
    "batch": "batch_size",
    "numworkers": "workers",
    "zdim": "latent_dim",
    "latentsize": "latent_dim",
    "data": "dataset",
    "datapath": "path",
    "imagesize": "size",
    "resolution": "size",
    "ckpt": "run",
    "checkpoint": "run",
    "output": "output_dir",
    "samples": "num_samples",
}
"""The last part of keys, by the `letters` of what others call it."""

_OTHER_METRICS = {
    "fid": "frechet",
    "kid": "kernel",
    "is": "inception_score",
    "prdc": "manifold",
    "swd": "sliced_wasserstein",
    "nll": "likelihood",
    "iwae": "likelihood",
}
"""What others call the metrics that `metrics=` takes."""

_KINDS_OF_FILES = {".npz": "npz", ".npy": "npy", ".csv": "points"}
"""The dataset that reads files of a suffix; folders are those of images."""


def letters(word: str) -> str:
    """What is left of a name for a comparison that does not heed how it is written."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def same(word: str, names: list[str]) -> str | None:
    """The one of `names` that is `word`, however it is written."""
    word = {"gpu": "cuda"}.get(word.lower(), word)
    return next((name for name in names if letters(name) == letters(word)), None) if letters(word) else None


def metric_called(word: str) -> str:
    """The metric that a word means, be it a name of others, or of one of its values; or else the word."""
    name = _OTHER_METRICS.get(word.lower(), word)
    of_value = (metric for metric, entry in METRICS.items() if same(name, list(entry.directions)))
    return same(name, list(METRICS)) or next(of_value, name)


def data_at(place: str) -> list[str]:
    """The settings for data in a file or a folder."""
    kind = _KINDS_OF_FILES.get(Path(place).suffix.lower(), "image-folder")
    return [f"dataset={kind}", f"dataset.path={quoted(place)}"]
