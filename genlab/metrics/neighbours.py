"""Does a model copy its training data? Nearest training images of samples and of held-out images.

References: A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan, Chaudhuri, Dasgupta, 2020)
https://arxiv.org/abs/2004.05675
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1_000


class Neighbours(NamedTuple):
    """rows: int64 [N, k], row indices in the searched table. distances: float64 [N, k], Euclidean, ascending."""

    rows: Tensor
    distances: Tensor


def nearest(queries: Tensor, chunks: Iterable[Tensor], neighbours: int = 1) -> Neighbours:
    """The rows of a table that are nearest to queries [N, D], on the CPU.

    chunks: the table's features in order, [m, D] at a time; memory does not grow with the table. Candidates are found
    by float32 matrix products, then distances are recomputed from differences, so that a copy has distance exactly 0.
    `ValueError` if the table is smaller than `neighbours`.
    """
    queries = queries.cpu()
    best = Neighbours(*(torch.empty(len(queries), 0, dtype=dtype) for dtype in (torch.int64, torch.float64)))
    start = 0
    for chunk in chunks:
        found = [_search(part, chunk.cpu(), neighbours) for part in queries.split(_CHUNK)]
        index, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
        index, distances = torch.cat([best.rows, index + start], 1), torch.cat([best.distances, distances], 1)
        distances, order = distances.sort(dim=1, stable=True)
        best = Neighbours(index.gather(1, order)[:, :neighbours], distances[:, :neighbours])
        start += len(chunk)
    if start < neighbours:
        raise ValueError(f"{neighbours} nearest neighbours are asked for, and the table holds {start} images")
    return best


def data_copying(to_samples: Tensor, to_held_out: Tensor) -> dict[str, float | int]:
    """Are samples closer to the training data than held-out images are?

    to_samples [N], to_held_out [M]: distances of samples, and of held-out images, to their nearest training image.
    gap: 1 - mean(to_samples) / mean(to_held_out); 1 for copies of the training data, 0 if samples are as far away as
        new images, negative if they are farther; NaN if all held-out images are copies themselves.
    closer_than_held_out: fraction of pairs in which the sample is closer, ties counting half (Mann and Whitney's
        U / NM, the statistic of Meehan et al. over a single cell); 0.5 for a model that samples the data
        distribution, 1 for copies. Blurred samples are closer to everything than sharp ones, which raises both values.
    """
    order, samples = to_held_out.sort().values, to_samples.contiguous()
    below, not_above = (torch.searchsorted(order, samples, right=right) for right in (False, True))
    nearer = (2 * len(order) - below - not_above).double() / 2
    mean, reference = to_samples.mean().item(), to_held_out.mean().item()
    return {
        "gap": 1 - mean / reference if reference else math.nan,
        "closer_than_held_out": (nearer.mean() / len(order)).item(),
        "sample_distance": mean,
        "held_out_distance": reference,
    }


def _search(queries: Tensor, chunk: Tensor, neighbours: int) -> Neighbours:
    centre = chunk.mean(0)
    rough = torch.cdist(queries - centre, chunk - centre)
    index = rough.topk(min(neighbours, len(chunk)), largest=False).indices
    distances = [(queries - chunk[column]).double().norm(dim=1) for column in index.unbind(1)]
    return Neighbours(index, torch.stack(distances, 1))
