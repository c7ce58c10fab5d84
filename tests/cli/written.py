"""What commands have written, as a test reads it."""

import csv

import numpy as np
import torch


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def images_of(images):
    """Written images [N, H, W, C] as a model takes them: [N, C, H, W] in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
