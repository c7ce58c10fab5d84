"""How far examples are from each other."""

import torch
from torch import Tensor


def mean_pairwise_distance(x: Tensor) -> Tensor:
    """Mean Euclidean distance over all pairs of distinct rows of [N, ...]; not a number if there is one row."""
    return torch.pdist(x.flatten(1)).mean()
