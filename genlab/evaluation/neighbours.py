"""Does a model repeat its training data: nearest training neighbours, and distances to training and held-out data.

References: A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan, Chaudhuri, Dasgupta, 2020)
https://arxiv.org/abs/2004.05675, whose idea is taken up: hold samples against the training set and against a further
set from the same source. The numbers of `overfitting_gap` are this file's own and do not compare with its statistic.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1_000


class Neighbours(NamedTuple):
    """index: int64 [N, k], rows of the table searched. distances: float64 [N, k], Euclidean, ascending."""

    index: Tensor
    distances: Tensor


def nearest(queries: Tensor, chunks: Iterable[Tensor], neighbours: int = 1) -> Neighbours:
    """The nearest rows of a table to queries [N, D], on the CPU.

    chunks: the table's features in order, [m, D] at a time; memory does not grow with the table. Candidates are found
    by float32 matrix products and measured again by differences, so that a copy is at distance 0 exactly.
    `ValueError` where the table is smaller than `neighbours`.
    """
    queries = queries.cpu()
    best = Neighbours(*(torch.empty(len(queries), 0, dtype=dtype) for dtype in (torch.int64, torch.float64)))
    start = 0
    for chunk in chunks:
        found = [_search(part, chunk.cpu(), neighbours) for part in queries.split(_CHUNK)]
        index, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
        index, distances = torch.cat([best.index, index + start], 1), torch.cat([best.distances, distances], 1)
        distances, order = distances.sort(dim=1, stable=True)
        best = Neighbours(index.gather(1, order)[:, :neighbours], distances[:, :neighbours])
        start += len(chunk)
    if start < neighbours:
        raise ValueError(f"{neighbours} nearest neighbours are asked for, and the table holds {start} pictures")
    return best


def overfitting_gap(samples: Tensor, train: Tensor, held_out: Tensor) -> dict[str, float | int]:
    """Do samples [N, D] lie nearer to training features [M, D] than to equally many held-out ones [M, D]?

    train_distance, held_out_distance: mean Euclidean distance of a sample to the nearest of each.
    gap: 1 - train_distance / held_out_distance; 0 where neither is nearer, 1 for copies of the training data.
    closer_to_train: share of samples nearer to training data, ties counting half; 0.5 for a model without memory.
    `ValueError` where the sets differ in size, as the larger would be nearer for that alone.
    """
    if len(train) != len(held_out):
        raise ValueError(
            f"distances to {len(train)} training and {len(held_out)} held-out examples do not compare; take as many"
        )
    to_train, to_held_out = (nearest(samples, part.split(_CHUNK)).distances[:, 0] for part in (train, held_out))
    closer = (to_train < to_held_out).double() + (to_train == to_held_out).double() / 2
    train_distance, held_out_distance = to_train.mean().item(), to_held_out.mean().item()
    return {
        "gap": 1 - train_distance / held_out_distance if held_out_distance else 0.0,
        "closer_to_train": closer.mean().item(),
        "train_distance": train_distance,
        "held_out_distance": held_out_distance,
        "samples": len(samples),
        "examples": len(train),
    }


def _search(queries: Tensor, chunk: Tensor, neighbours: int) -> Neighbours:
    centre = chunk.mean(0)
    rough = torch.cdist(queries - centre, chunk - centre)
    index = rough.topk(min(neighbours, len(chunk)), largest=False).indices
    distances = [(queries - chunk[column]).double().norm(dim=1) for column in index.unbind(1)]
    return Neighbours(index, torch.stack(distances, 1))
