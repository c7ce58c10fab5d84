import pytest
import torch
from scipy.stats import wasserstein_distance

from genlab.metrics.sliced_wasserstein import sliced_wasserstein


def test_it_is_the_mean_over_directions_of_any_length():
    x, y, directions = torch.randn(3, 30, 5, dtype=torch.float64)
    units = directions / directions.norm(dim=1, keepdim=True)
    expected = [wasserstein_distance(x @ unit, y @ unit) for unit in units]
    assert sliced_wasserstein(x, y, directions).item() == pytest.approx(sum(expected) / len(expected))


def test_it_agrees_with_python_optimal_transport_on_the_same_directions():
    ot = pytest.importorskip("ot")
    generator = torch.Generator().manual_seed(0)
    x, y, directions = torch.randn(3, 60, 4, dtype=torch.float64, generator=generator)
    units = directions / directions.norm(dim=1, keepdim=True)
    expected = ot.sliced_wasserstein_distance(x, y + 1, p=1, projections=units.T)
    assert sliced_wasserstein(x, y + 1, directions).item() == pytest.approx(expected.item())
