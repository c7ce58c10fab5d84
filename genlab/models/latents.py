"""Sampling from the standard normal prior, measures and grids of samples, shared by several models."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch
from genlab.contract.model import GenerativeModel, Grid
from genlab.media.kinds import MOST_COLUMNS, class_name
from genlab.metrics.diversity import mean_pairwise_distance
from genlab.metrics.sliced_wasserstein import sliced_wasserstein
from genlab.system.portions import rows_at_once

_DRAWS = 10  # of each class


def standard_normal(num_samples: int, size: int, network: nn.Module, truncation: float | None = None) -> Tensor:
    """z ~ N(0, I), [num_samples, size], by torch's global generator, on the device and in the dtype of `network`.

    truncation: entries of larger magnitude are redrawn, which trades diversity for more typical samples; above 0.
    Reference: Brock, Donahue, Simonyan 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis,
    https://arxiv.org/abs/1809.11096, section 3.1.
    """
    like = next(network.parameters())
    z = torch.empty(num_samples, size, device=like.device, dtype=like.dtype)
    if truncation is None:
        return z.normal_()
    if truncation <= 0:
        raise ValueError(f"sampling.truncation={truncation}: must be greater than 0, as in sampling.truncation=0.7")
    return nn.init.trunc_normal_(z, a=-truncation, b=truncation)


def compared_samples(x: Tensor, samples: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Validation of a model by its samples, as many as the examples x of a batch, both [N, *shape].

    sliced_wasserstein: distance between the two sets, over random projections of data space.
    diversity: mean pairwise distance of samples divided by that of examples, near 0 if the generator has collapsed;
        left out if there is a single example, or all are equal.
    """
    directions = batch.randn(x[0].numel())
    metrics = {"sliced_wasserstein": sliced_wasserstein(samples.flatten(1), x.flatten(1), directions)}
    if (expected := mean_pairwise_distance(x)) > 0:
        metrics["diversity"] = mean_pairwise_distance(samples) / expected
    return metrics


def grid_of_samples(model: GenerativeModel, z: Tensor, decode: Callable[..., Tensor]) -> Grid:
    """Examples decoded from latents or noise z [N, ...]: a square of the first ones or, of a model with conditions, a
    column for each class, with its name, from the same z within each row."""
    data = model.data
    if not model.conditions:
        side = max(1, int(len(z) ** 0.5))
        return Grid(decode(z[: side * side]).unflatten(0, (side, side)))
    classes = min(data.num_classes, MOST_COLUMNS)
    rows = min(len(z), max(1, rows_at_once(data.shape, most=_DRAWS * classes) // classes))
    label = torch.arange(classes, device=z.device).repeat(rows)
    x = decode(z[:rows].repeat_interleave(classes, 0), {"label": label})
    return Grid(x.unflatten(0, (rows, classes)), columns=[class_name(data["label"], n) for n in range(classes)])
