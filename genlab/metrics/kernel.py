"""Kernel distances between sets of features: the kernel inception distance, and a Gaussian MMD.

Both are unbiased estimates of the squared maximum mean discrepancy,

    MMD^2 = sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 mean_{i, j} k(x_i, y_j),

and may be negative if the two sets are alike.

References:
    A Kernel Two-Sample Test (Gretton et al., 2012) https://jmlr.org/papers/v13/gretton12a.html
    Demystifying MMD GANs (Binkowski, Sutherland, Arbel, Gretton, 2018) https://arxiv.org/abs/1801.01401
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genlab.system.seeding import mix

BLOCK = 1_000
"""Samples per block, if there are that many."""

_CHUNK = 1_000
_MEDIAN_ROWS = 1_000


class KernelDistance:
    """The kernel inception distance (cubic kernel) over blocks of samples, which arrive in chunks.

    real: features [M, D], shuffled with `seed`, as datasets are often sorted, and split into blocks. Each full block of
    samples is compared with the next real block, cyclically. Memory: `real` and one block. Samples after the last full
    block are ignored.
    """

    def __init__(self, real: Tensor, block: int = BLOCK, seed: int = 0):
        if not 2 <= block <= len(real):
            raise ValueError(f"a kernel distance in blocks of {block} needs 2 to {len(real)} samples a block")
        order = torch.randperm(len(real), generator=torch.Generator().manual_seed(mix(seed)))
        self.block = block
        self.real = [real[rows].cpu() for rows in order.split(block) if len(rows) == block]
        self.waiting = real[:0].cpu()
        self.distances: list[float] = []

    def update(self, features: Tensor) -> None:
        """Add features [N, D] of samples whose order is random."""
        self.waiting = torch.cat([self.waiting, features.detach().cpu()])
        while len(self.waiting) >= self.block:
            samples, self.waiting = self.waiting[: self.block], self.waiting[self.block :]
            real = self.real[len(self.distances) % len(self.real)]
            self.distances.append(mmd_squared(samples.double(), real.double(), cubic_kernel))

    def result(self) -> dict[str, Any]:
        """Mean and population standard deviation (std over blocks; None for a single one) of MMD^2."""
        if not self.distances:
            raise ValueError(f"a kernel distance needs {self.block} samples or more, and there are {len(self.waiting)}")
        values = torch.tensor(self.distances, dtype=torch.float64)
        return {
            "mean": values.mean().item(),
            "std": values.std(correction=0).item() if len(values) > 1 else None,
            "blocks": len(values),
            "real_images": min(len(values), len(self.real)) * self.block,
            "block_size": self.block,
            "kernel": "(x . y / dimensions + 1)^3",
        }


def gaussian_mmd(samples: Tensor, real: Tensor, bandwidth: float | None = None) -> dict[str, Any]:
    """Unbiased MMD^2 of samples [N, D] and real features [M, D] under k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)).

    bandwidth: None uses the median pairwise distance of 1,000 real features, evenly spaced in the table.
    """
    samples, real = samples - real.mean(0), real - real.mean(0)  # leaves distances unchanged, reduces rounding errors
    bandwidth = median_distance(real) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise ValueError(f"a Gaussian kernel needs a bandwidth above 0, not {bandwidth}; are all real features alike?")

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
        return squares.clamp_(min=0).mul_(-0.5 / bandwidth**2).exp_()

    return {
        "mmd_squared": mmd_squared(samples, real, kernel),
        "bandwidth": bandwidth,
        "kernel": "exp(-|x - y|^2 / (2 bandwidth^2)), bandwidth: median distance of real features",
    }


def median_distance(features: Tensor) -> float:
    """Median pairwise Euclidean distance of 1,000 of the features [N, D], evenly spaced: tables may be sorted."""
    rows = torch.linspace(0, len(features) - 1, min(_MEDIAN_ROWS, len(features))).round().long()
    return torch.nn.functional.pdist(features[rows].double()).median().item()


def cubic_kernel(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = (x . y / D + 1)^3, [N, M]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def mmd_squared(x: Tensor, y: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The unbiased estimate for x [N, D] and y [M, D], two rows or more each; float64 sums over tiles."""
    between = _total(x, y, kernel) / (len(x) * len(y))
    return (_within(x, kernel) + _within(y, kernel) - 2 * between).item()


def _within(x: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean of k(x_i, x_j) over i != j; tiles off the diagonal count twice instead of being evaluated twice."""
    if len(x) < 2:
        raise ValueError(f"a kernel distance needs two samples or more on each side, and there are {len(x)}")
    parts = x.split(_CHUNK)
    total = torch.zeros((), dtype=torch.float64)
    for number, part in enumerate(parts):
        tile = kernel(part, part).double()
        total += (tile.sum() - tile.diagonal().sum()).cpu()
        for other in parts[number + 1 :]:
            total += 2 * kernel(part, other).sum(dtype=torch.float64).cpu()
    return total / (len(x) * (len(x) - 1))


def _total(x: Tensor, y: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    tiles = (kernel(a, b).sum(dtype=torch.float64).cpu() for a in x.split(_CHUNK) for b in y.split(_CHUNK))
    return sum(tiles, torch.zeros((), dtype=torch.float64))
