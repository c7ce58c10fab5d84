"""Sliced Wasserstein distances between two sets of points: means over one-dimensional projections.

References:
    Rabin, Peyre, Delon, Bernot 2011, Wasserstein Barycenter and its Application to Texture Mixing,
        https://doi.org/10.1007/978-3-642-24785-9_37
    Berthet et al. 2026, on the Monge Inception Distance, https://arxiv.org/abs/2605.06797
"""

from torch import Tensor


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Mean over `directions` of the 1-Wasserstein distance between the projections of two sets of equal size.

    x, y: [N, D], one point per row. directions: [K, D], of any nonzero length. Returns a scalar, in the units of x.
    In one dimension the optimal transport keeps the order, so W1 = mean |sort(x) - sort(y)|.
    """
    directions = directions / directions.norm(dim=1, keepdim=True)
    return (_sorted_projections(x, directions) - _sorted_projections(y, directions)).abs().mean()


def monge_distance(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """MIND: 3 D times the mean over `directions` of the squared 2-Wasserstein distance between the projections of two
    sets of equal size. Arguments as above; a scalar."""
    directions = directions / directions.norm(dim=1, keepdim=True)
    squared = (_sorted_projections(x, directions) - _sorted_projections(y, directions)).square()
    return 3 * x.shape[1] * squared.mean()


def _sorted_projections(points: Tensor, directions: Tensor) -> Tensor:
    return (points @ directions.T).sort(dim=0).values
