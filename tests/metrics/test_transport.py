"""Wasserstein distances of points: against scipy, against a closed form, and their laws."""

import pytest
import torch
from scipy.stats import wasserstein_distance

from genlab.metrics.points import wasserstein_1d, wasserstein_2


@pytest.mark.parametrize("sizes", [(1, 1), (1, 7), (50, 50), (50, 75), (97, 1000)])
def test_on_the_line_it_is_that_of_scipy(sizes):
    random = torch.Generator().manual_seed(sum(sizes))
    x, y = (
        torch.randn(size, generator=random).round(decimals=1) * scale for size, scale in zip(sizes, (1, 2), strict=True)
    )
    assert wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x.double(), y.double()), abs=1e-12)
    assert wasserstein_1d(y, x) == pytest.approx(wasserstein_1d(x, y), abs=1e-12)
    assert wasserstein_1d(x, x) == 0


def test_a_shift_moves_all_points_by_as_much():
    x = torch.randn(300, 3, dtype=torch.float64)
    shift = torch.tensor([3.0, 0.0, -4.0])
    found = wasserstein_2(x[torch.randperm(300)], x + shift)
    assert found == {"wasserstein_2": pytest.approx(5), "points": 300}
    assert wasserstein_1d(x[:, 0], x[:, 0] + 2) == pytest.approx(2)


def test_in_one_dimension_sorting_is_the_best_transport():
    x, y = torch.randn(200, 1), 3 * torch.randn(200, 1)
    best = (x.sort(0).values - y.sort(0).values).double().square().mean().sqrt()
    assert wasserstein_2(x, y)["wasserstein_2"] == pytest.approx(best.item(), rel=1e-6)


def test_tables_are_thinned_evenly():
    x = torch.arange(10_000.0)[:, None]
    found = wasserstein_2(x, x.flip(0), most=100)
    assert found == {"wasserstein_2": 0.0, "points": 100}


def test_no_points_have_no_distance():
    for distance in (wasserstein_1d, wasserstein_2):
        with pytest.raises(ValueError, match="points"):
            distance(torch.zeros(0, 1), torch.zeros(3, 1))
