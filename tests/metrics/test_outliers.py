"""Detection of outliers against counting by hand."""

import pytest
import torch

from genlab.metrics.outliers import detection


def scores():
    """Rounded, so that many are equal."""
    torch.manual_seed(0)
    return (2 * torch.randn(70)).round(), (2 * torch.randn(40) + 2).round()


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    ordinary, strange = scores()
    difference = strange[:, None] - ordinary
    pairs = (difference > 0).double() + (difference == 0).double() / 2
    assert detection(ordinary, strange)["auroc"] == pytest.approx(pairs.mean().item())


def test_aupr_is_the_mean_precision_at_each_outlier():
    ordinary, strange = scores()
    precisions = [(strange >= s).sum() / ((strange >= s).sum() + (ordinary >= s).sum()) for s in strange]
    assert detection(ordinary, strange)["aupr"] == pytest.approx(torch.stack(precisions).mean().item())


def test_false_positives_are_counted_at_the_highest_threshold_that_catches_95_percent():
    ordinary, strange = scores()
    threshold = max(s for s in strange if (strange >= s).double().mean() >= 0.95)
    expected = (ordinary >= threshold).double().mean().item()
    assert detection(ordinary, strange)["fpr_at_95_tpr"] == pytest.approx(expected)


def test_perfect_and_useless_scores():
    apart = detection(torch.arange(10.0), torch.arange(10.0, 15.0))
    assert apart == {"auroc": 1.0, "aupr": 1.0, "fpr_at_95_tpr": 0.0}
    same = detection(torch.zeros(30), torch.zeros(10))
    assert same == {"auroc": 0.5, "aupr": 0.25, "fpr_at_95_tpr": 1.0}


def test_refuses_what_cannot_be_ranked():
    with pytest.raises(ValueError, match="scores_out: 1 of 2 scores are not finite"):
        detection(torch.zeros(3), torch.tensor([0.0, torch.nan]))
    with pytest.raises(ValueError, match="scores_in: holds no score"):
        detection(torch.zeros(0), torch.zeros(3))
