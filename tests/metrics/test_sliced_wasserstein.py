import pytest
import torch
from scipy.stats import wasserstein_distance

from genlab.metrics.sliced_wasserstein import sliced_wasserstein


def test_in_one_dimension_it_is_the_wasserstein_distance():
    x, y = torch.randn(2, 40, 1, dtype=torch.float64)
    expected = wasserstein_distance(x[:, 0], 2 * y[:, 0] + 1)
    assert sliced_wasserstein(x, 2 * y + 1, torch.tensor([[-3.0]]).double()).item() == pytest.approx(expected)


def test_it_is_the_mean_over_directions_of_any_length():
    x, y, directions = torch.randn(3, 30, 5, dtype=torch.float64)
    units = directions / directions.norm(dim=1, keepdim=True)
    expected = [wasserstein_distance(x @ unit, y @ unit) for unit in units]
    assert sliced_wasserstein(x, y, directions).item() == pytest.approx(sum(expected) / len(expected))


def test_a_shift_is_measured_along_each_direction_and_order_does_not_matter():
    x, shift = torch.randn(30, 3), torch.tensor([2.0, 0.0, 0.0])
    assert sliced_wasserstein(x, x.flip(0) + shift, torch.eye(3)).item() == pytest.approx(2 / 3, abs=1e-5)


def test_it_agrees_with_python_optimal_transport_on_the_same_directions():
    ot = pytest.importorskip("ot")
    generator = torch.Generator().manual_seed(0)
    x, y, directions = torch.randn(3, 60, 4, dtype=torch.float64, generator=generator)
    units = directions / directions.norm(dim=1, keepdim=True)
    expected = ot.sliced_wasserstein_distance(x, y + 1, p=1, projections=units.T)
    assert sliced_wasserstein(x, y + 1, directions).item() == pytest.approx(expected.item())
