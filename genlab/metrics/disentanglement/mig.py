"""MIG, the mutual information gap: does a single latent encode each factor?

Reference: Chen, Li, Grosse, Duvenaud 2018, Isolating Sources of Disentanglement in Variational Autoencoders,
https://arxiv.org/abs/1802.04942
"""

import numpy as np
from sklearn.metrics import mutual_info_score
from torch import Tensor

from genlab.metrics.disentanglement.table import tabulate

_BINS = 20


def mig(latents: Tensor, factors: Tensor, bins: int = _BINS) -> float:
    """Mean over the factors of their mutual information gaps: 1 if each factor has its own latent, 0 at worst."""
    return float(np.mean(list(mutual_information_gaps(latents, factors, bins).values())))


def mutual_information_gaps(latents: Tensor, factors: Tensor, bins: int = _BINS) -> dict[int, float]:
    """Gap of each factor that varies, by its column: latents [N, L], factors [N, F] -> values in [0, 1].

    (I(z_first; v) - I(z_second; v)) / H(v) for the two latents most informative about factor v. Latents are discretized
    into `bins` equal parts of their range, so a factor with more values than bins cannot reach 1.
    """
    table = tabulate(latents, factors)
    cells = [_discretize(latent, bins) for latent in table.latents.T]
    gaps = {}
    for column, value in zip(table.columns, table.values.T, strict=True):
        second, first = np.sort([0.0, *(mutual_info_score(value, cell) for cell in cells)])[-2:]
        gaps[column] = float((first - second) / mutual_info_score(value, value))  # H(v) = I(v; v)
    return gaps


def _discretize(latent: np.ndarray, bins: int) -> np.ndarray:
    """Bin indices [N], 0 to bins - 1."""
    return np.digitize(latent, np.histogram_bin_edges(latent, bins)[1:-1])
