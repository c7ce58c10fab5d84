import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from genlab.metrics.kernel import KernelDistance, gaussian_mmd


def two_sets(samples, real, dimensions=6):
    generator = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randn(count, dimensions, generator=generator)  # noqa: E731
    return 1.2 * draw(samples) + 0.3, draw(real)


def by_loops(x, y, kernel):
    """The definition, pair by pair."""
    within = [
        np.mean([kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j]) for part in (x, y)
    ]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_one_block_is_the_unbiased_estimate_pair_by_pair():
    x, y = (part.double() for part in two_sets(25, 25))
    distance = KernelDistance(y, block=25)
    distance.update(x)
    expected = by_loops(x.numpy(), y.numpy(), lambda a, b: (a @ b / 6 + 1) ** 3)
    result = distance.result()
    assert result["mean"] == pytest.approx(expected)
    assert (result["std"], result["blocks"], result["block_size"], result["real_images"]) == (None, 1, 25, 25)


def test_it_agrees_with_torch_fidelity_and_torchmetrics_on_the_same_subset():
    fidelity, metrics = pytest.importorskip("torch_fidelity.metric_kid"), pytest.importorskip("torchmetrics.image.kid")
    x, y = (part.double() for part in two_sets(300, 300, 32))
    distance = KernelDistance(y, block=300)
    distance.update(x)
    theirs = fidelity.kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=300, verbose=False)
    assert distance.result()["mean"] == pytest.approx(theirs["kernel_inception_distance_mean"])
    assert distance.result()["mean"] == pytest.approx(metrics.poly_mmd(y, x).item())


def test_samples_meet_real_features_block_by_block_however_they_arrive():
    x, y = two_sets(350, 200)
    at_once, dribbling = KernelDistance(y, block=100), KernelDistance(y, block=100)
    at_once.update(x)
    for part in x.split(37):
        dribbling.update(part)
    assert at_once.result() == dribbling.result()
    assert at_once.result()["blocks"] == 3  # the last 50 fill no block
    parts = []
    for number, samples in enumerate(x[:300].split(100)):
        single = KernelDistance(at_once.real[number % 2], block=100)
        single.update(samples)
        parts.append(single.result()["mean"])
    assert at_once.result()["mean"] == pytest.approx(np.mean(parts))
    assert at_once.result()["std"] == pytest.approx(np.std(parts))


def test_real_features_that_come_sorted_are_mixed():
    y = torch.arange(400.0)[:, None]
    blocks = KernelDistance(y, block=100).real
    assert sorted(torch.cat(blocks)[:, 0].tolist()) == y[:, 0].tolist()
    assert all(100 < block.mean() < 300 for block in blocks)


def test_a_distance_needs_a_block_of_each():
    with pytest.raises(ValueError, match="blocks of 1000 needs 2 to 20 samples"):
        KernelDistance(torch.zeros(20, 3))
    short = KernelDistance(torch.zeros(20, 3), block=20)
    short.update(torch.zeros(19, 3))
    with pytest.raises(ValueError, match="20 samples or more, and there are 19"):
        short.result()


def test_the_gaussian_distance_is_the_unbiased_estimate_with_the_median_as_bandwidth():
    x, y = two_sets(1300, 1100)  # more than one tile each
    result = gaussian_mmd(x + 50, y + 50)
    bandwidth = np.median(pdist(y[np.linspace(0, 1099, 1000).round()].double().numpy()))
    kernel = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean") / (2 * bandwidth**2))  # noqa: E731
    x, y = x.double().numpy(), y.double().numpy()
    within = [(kernel(part, part).sum() - len(part)) / (len(part) * (len(part) - 1)) for part in (x, y)]
    assert result["bandwidth"] == pytest.approx(bandwidth, rel=1e-4)
    assert result["mmd_squared"] == pytest.approx(sum(within) - 2 * kernel(x, y).mean(), abs=1e-6)


def test_a_kernel_on_features_that_are_all_alike_is_refused():
    with pytest.raises(ValueError, match="bandwidth above 0"):
        gaussian_mmd(torch.rand(5, 2), torch.ones(5, 2))
