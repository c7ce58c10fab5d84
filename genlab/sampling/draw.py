"""Samples in batches, as a function of a seed."""

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.sampling.load import Run
from genlab.seeding import seeded

_BATCH = 256


def draw(run: Run, num_samples: int, seed: int, label: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Pictures [num_samples, C, H, W] in [0, 1] on the CPU, and their labels where the model takes labels.

    label: the class of all of them; None for all classes in turn.
    """
    sample = run.capability("sample")
    labels = _labels(run, num_samples, label)
    parts = []
    with torch.no_grad(), seeded(seed):
        for start in tqdm(range(0, num_samples, _BATCH), "sampling", disable=None, leave=False):
            rows = slice(start, min(start + _BATCH, num_samples))
            part = None if labels is None else labels[rows].to(run.device)
            parts.append(sample(rows.stop - rows.start, label=part).float().cpu())
    return torch.cat(parts), labels


def _labels(run: Run, num_samples: int, label: int | None) -> Tensor | None:
    if "label" not in run.model.requires:
        if label is not None:
            raise ValueError(f"label={label}: model {run.config.choices.model} takes no labels")
        return None
    classes = run.data.num_classes
    if label is not None and not 0 <= label < classes:
        raise ValueError(f"label={label}: this run knows the classes 0 to {classes - 1}")
    return torch.arange(num_samples) % classes if label is None else torch.full((num_samples,), label)
