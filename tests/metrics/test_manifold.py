import pytest
import torch
from scipy.spatial.distance import cdist

from genlab.metrics.manifold import manifold_metrics


def two_sets(samples, real, dimensions=8):
    generator = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randn(count, dimensions, generator=generator)  # noqa: E731
    return 0.8 * draw(samples) + 0.2, draw(real)


@pytest.mark.parametrize(("samples", "real"), [(200, 300), (1200, 1100)])
def test_precision_and_recall_agree_with_torch_fidelity(samples, real):
    metric = pytest.importorskip("torch_fidelity.metric_prc")
    x, y = two_sets(samples, real)
    precision, recall = metric.calculate_precision_recall_full(x, y, 3)
    result = manifold_metrics(x, y)
    assert result["precision"] == pytest.approx(precision, abs=1e-6)
    assert result["recall"] == pytest.approx(recall, abs=1e-6)
    assert 0.3 < result["recall"] < result["precision"] < 1


@pytest.mark.parametrize(("samples", "real"), [(200, 300), (1200, 1100)])
def test_all_four_are_the_written_definitions(samples, real):
    x, y = two_sets(samples, real)
    result = manifold_metrics(x, y)
    between, x, y = cdist(x, y), cdist(x, x), cdist(y, y)
    x.sort(axis=1)
    y.sort(axis=1)  # column 0 is the point itself
    assert result["precision"] == pytest.approx((between <= y[:, 3]).any(1).mean())
    assert result["recall"] == pytest.approx((between <= x[:, 3, None]).any(0).mean())
    assert result["density"] == pytest.approx((between <= y[:, 5]).sum() / (5 * samples))
    assert result["coverage"] == pytest.approx((between.min(0) <= y[:, 5]).mean())


def test_far_from_all_real_features_everything_is_zero():
    x, y = two_sets(50, 60)
    result = manifold_metrics(x + 1000, y)
    assert all(type(value) in (int, float) for value in result.values()), "numbers fit into JSON"
    assert [result[name] for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]


def test_a_common_shift_changes_nothing():
    x, y = two_sets(100, 120)
    assert manifold_metrics(x + 64, y + 64) == manifold_metrics(x, y)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="more than 5 samples, not 5"):
        manifold_metrics(torch.rand(5, 2), torch.rand(50, 2))
    with pytest.raises(ValueError, match="more than 5 real features, not 4"):
        manifold_metrics(torch.rand(50, 2), torch.rand(4, 2))
