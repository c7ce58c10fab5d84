import pytest
import torch

from genlab.metrics.inception_score import InceptionScore


def score(probabilities, splits=10, chunk=1_000):
    accumulator = InceptionScore(*probabilities.shape[::-1], splits)
    for part in probabilities.split(chunk):
        accumulator.update(part)
    return accumulator.result()


def test_it_agrees_with_torch_fidelity():
    metric = pytest.importorskip("torch_fidelity.metric_isc")
    logits = 3 * torch.randn(500, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = metric.isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = score(logits.softmax(1), chunk=37)
    assert ours["mean"] == pytest.approx(theirs["inception_score_mean"])
    assert ours["std"] == pytest.approx(theirs["inception_score_std"])


def test_known_scores():
    assert score(torch.eye(7).repeat(30, 1), splits=3)["mean"] == pytest.approx(7), "certain and various"
    assert score(torch.eye(10).repeat(30, 1))["mean"] == pytest.approx(10), "classes in turn are no collapse"
    assert score(torch.eye(7)[[2]].expand(50, 7))["mean"] == pytest.approx(1), "collapsed"
    assert score(torch.full((50, 7), 1 / 7))["mean"] == pytest.approx(1), "uncertain"


def test_splits_need_a_sample_each():
    with pytest.raises(ValueError, match="10 splits needs as many samples, not 9"):
        score(torch.eye(9))


def test_a_single_split_has_no_deviation():
    assert score(torch.eye(7), splits=1)["std"] is None
