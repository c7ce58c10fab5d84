"""Distances to usual statistics: whitened by hand, constants left out, what is not finite is infinitely far."""

import pytest
import torch

from genlab.metrics.normal import Normal


def test_distances_are_euclidean_once_the_statistics_are_uncorrelated_and_of_one_scale():
    torch.manual_seed(0)
    white = torch.randn(5_000, 3, dtype=torch.float64)
    white = (white - white.mean(0)) @ torch.linalg.cholesky(white.T.cov(correction=0).inverse())
    mixed = white @ torch.tensor([[1.0, 2, 0], [0, 1e3, 5], [0, 0, 1e-3]]).double() + 7
    torch.testing.assert_close(Normal.of(mixed).distances(mixed[:20]), white[:20].norm(dim=1))


def test_what_is_constant_but_for_rounding_says_nothing():
    rows = torch.stack([torch.arange(5.0), 1 + 1e-8 * torch.tensor([1.0, -1, 1, 1, -1])], 1)
    one = Normal.of(torch.arange(5.0)[:, None])
    torch.testing.assert_close(Normal.of(rows).distances(rows), one.distances(rows[:, :1]))


def test_what_is_not_finite_is_infinitely_far_and_cannot_be_usual():
    normal = Normal.of(torch.randn(50, 2))
    far = torch.tensor([[torch.nan, 0.0], [0.0, torch.inf]])
    assert normal.distances(far).tolist() == [torch.inf, torch.inf]
    with pytest.raises(ValueError, match="1 of 3 training examples"):
        Normal.of(torch.tensor([[0.0, 1.0], [torch.nan, 0.0], [1.0, 2.0]]))
