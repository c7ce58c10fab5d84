"""Wasserstein distances between two sets of points, by exact optimal transport.

References:
    Computational Optimal Transport (Peyre, Cuturi, 2019), sections 2.6 and 3, https://arxiv.org/abs/1803.00567
"""

from typing import Any

import torch
from torch import Tensor

MOST_POINTS = 2_000
"""Maximum number of points on each side of an exact transport: its time grows with their third power."""


def wasserstein_1d(x: Tensor, y: Tensor) -> float:
    """The 1-Wasserstein distance of two samples [N] and [M] of numbers of any sizes, in their units.

    In one dimension the optimal transport keeps the order: W1 = integral over u in (0, 1) of |F_x^-1(u) - F_y^-1(u)|.
    Both quantile functions are steps, at multiples of 1 / N and of 1 / M.
    """
    if not len(x) or not len(y):
        raise ValueError(f"a Wasserstein distance needs points on both sides, and there are {len(x)} and {len(y)}")
    x, y = (z.flatten().double().cpu().sort().values for z in (x, y))
    # In units of 1 / (N M), so that the steps are exact integers.
    ends = torch.cat([torch.arange(1, len(x) + 1) * len(y), torch.arange(1, len(y) + 1) * len(x)]).unique()
    widths = ends.diff(prepend=ends.new_zeros(1)).double() / (len(x) * len(y))
    difference = x[(ends - 1) // len(y)] - y[(ends - 1) // len(x)]
    return (widths * difference.abs()).sum().item()


def wasserstein_2(x: Tensor, y: Tensor, most: int = MOST_POINTS) -> dict[str, Any]:
    """The exact 2-Wasserstein distance of as many points of x [N, D] as of y [M, D], in their units.

    points: number used of each, at most `most`, evenly spaced in the tables, which may be sorted. The distance of two
    samples of one distribution is not 0, but falls with their number.
    """
    from scipy.optimize import linear_sum_assignment  # takes as long to import as many steps of a small network

    count = min(len(x), len(y), most)
    if not count:
        raise ValueError(f"a Wasserstein distance needs points on both sides, and there are {len(x)} and {len(y)}")
    x, y = (z[torch.linspace(0, len(z) - 1, count, dtype=torch.float64).round().long()].double().cpu() for z in (x, y))
    costs = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square().numpy()
    rows, columns = linear_sum_assignment(costs)
    return {"wasserstein_2": float(costs[rows, columns].mean() ** 0.5), "points": count}
