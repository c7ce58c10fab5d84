"""Runs of recipes, a classifier of MNIST digits that reads their images, and what it says of a set of samples."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.cli import main
from genlab.data.torchvision_sets import Mnist


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
    return fields["x"].float() / 255, fields["label"]


def train_reader(data_dir: str, epochs: int = 4) -> tuple[nn.Module, float]:
    """A small convolutional classifier and its accuracy on the test digits."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for width, next_width in ((1, 16), (16, 32), (32, 64)):
        convolution = nn.Conv2d(width, next_width, 3, padding=1)
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(next_width)]
    reader = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 3 * 3, 10))
    x, y = mnist("train", data_dir)
    steps = epochs * (len(x) // 128)
    optimizer = torch.optim.Adam(reader.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: len(x) // 128 * 128].view(-1, 128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(reader(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    reader.eval().requires_grad_(False)
    x, y = mnist("validation", data_dir)
    return reader, (probabilities(reader, x).argmax(1) == y).float().mean().item()


def probabilities(reader: nn.Module, x: Tensor) -> Tensor:
    """Class probabilities [N, 10] of images [N, 1, 28, 28]."""
    return torch.cat([reader(part).softmax(1) for part in x.split(500)])


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
