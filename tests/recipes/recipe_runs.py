"""Runs of recipes, and figures of what they draw."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genlab.cli import main
from genlab.data.torchvision_sets import Mnist
from genlab.evaluation.classifier import Network


def train(run: Path, *overrides: str) -> dict[str, float]:
    """Final metrics of `genlab train` in the folder `run`."""
    with pytest.raises(SystemExit) as stop:
        main(["train", f"hydra.run.dir={run}", *overrides])
    assert stop.value.code == 0
    return json.loads((run / "status.json").read_text())["final"]


def mnist(split: str, data_dir: str) -> tuple[Tensor, Tensor]:
    """Images [N, 1, 28, 28] in [0, 1] and labels [N] of a published split."""
    (table,) = Mnist(data_dir=data_dir, size=None).open(split)
    fields = table.load()
    return fields["image"].float() / 255, fields["label"]


def probabilities(reader: Network, x: Tensor) -> Tensor:
    """Class probabilities [N, 10] of images [N, 1, 28, 28]."""
    return torch.cat([reader(part)[1].softmax(1) for part in x.split(500)])


def spread(x: Tensor) -> float:
    """Mean Euclidean distance in pixels between two different images of x [N, C, H, W]."""
    flat = x.flatten(1)
    return (torch.cdist(flat, flat).sum() / (len(x) * (len(x) - 1))).item()


def draw(run: Path, num_samples: int = 2000) -> tuple[Tensor, Tensor | None]:
    """Images and labels that `genlab sample` writes for the finished run."""
    with pytest.raises(SystemExit) as stop:
        main(["sample", f"run={run}", f"num_samples={num_samples}"])
    assert stop.value.code == 0
    (path,) = run.glob("samples/*/samples.npz")
    arrays = np.load(path, allow_pickle=False)
    labels = torch.from_numpy(arrays["labels"]) if "labels" in arrays else None
    return torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255, labels
