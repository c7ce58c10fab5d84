import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from genlab.metrics.frechet import Moments, frechet_distance


def features(count, dimensions, seed):
    """Correlated features with a mean of their own."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimensions, dimensions, generator=generator)
    return torch.randn(count, dimensions, generator=generator) @ mixing + torch.rand(dimensions, generator=generator)


def by_scipy(x, y):
    x, y = x.double().numpy(), y.double().numpy()
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)


@pytest.mark.parametrize(("count", "dimensions"), [(500, 12), (300, 64)])
def test_it_agrees_with_the_matrix_root_of_scipy(count, dimensions):
    x, y = features(count, dimensions, 0), features(count + 50, dimensions, 1)
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(by_scipy(x, y), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Matrix is singular")
def test_it_agrees_where_covariances_have_low_rank():
    x, y = features(20, 50, 0), features(30, 50, 1)
    y[:, 7] = 1  # a feature that never changes
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(by_scipy(x, y), rel=1e-3)


def test_it_agrees_with_torch_fidelity_and_torchmetrics():
    fidelity, metrics = pytest.importorskip("torch_fidelity.metric_fid"), pytest.importorskip("torchmetrics.image.fid")
    x, y = features(400, 32, 0).double(), features(300, 32, 1).double()
    found = frechet_distance(Moments.of(x), Moments.of(y))
    statistics = map(fidelity.fid_features_to_statistics, (x, y))
    theirs = fidelity.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found == pytest.approx(theirs, rel=1e-6)
    assert found == pytest.approx(metrics._compute_fid(x.mean(0), x.T.cov(), y.mean(0), y.T.cov()).item(), rel=1e-6)


def test_a_shift_costs_its_squared_length_and_the_set_itself_nothing():
    x = features(200, 6, 0).double()
    shift = torch.arange(6.0)
    assert frechet_distance(Moments.of(x), Moments.of(x + shift)) == pytest.approx(shift.square().sum().item())
    assert frechet_distance(Moments.of(x), Moments.of(x)) == pytest.approx(0, abs=1e-6)


def test_chunks_give_the_moments_of_the_whole():
    x = features(1000, 8, 0)
    moments = Moments(8)
    for part in (*x.split(77), x[:0]):
        moments.update(part)
    assert moments.count == 1000
    np.testing.assert_allclose(moments.mean, x.double().mean(0), rtol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9)


def test_a_mean_far_from_zero_does_not_wash_out_the_covariance():
    x = features(1000, 4, 0).double()
    moments = Moments(4)
    for part in (x + 1e8).split(100):
        moments.update(part)
    torch.testing.assert_close(moments.covariance, x.T.cov(), rtol=1e-6, atol=1e-6)


def test_moments_come_back_from_a_file(tmp_path):
    moments = Moments.of(features(100, 5, 0))
    torch.save(moments.state_dict(), tmp_path / "moments.pt")
    restored = Moments.from_state(torch.load(tmp_path / "moments.pt", weights_only=True))
    restored.update(features(10, 5, 1))
    moments.update(features(10, 5, 1))
    assert restored.count == 110
    assert torch.equal(restored.covariance, moments.covariance)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="two samples or more"):
        frechet_distance(Moments.of(torch.ones(1, 3)), Moments.of(torch.ones(5, 3)))
