"""Detection of outliers against scikit-learn."""

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from genlab.metrics.outliers import detection


def test_ranks_are_judged_as_by_scikit_learn_and_false_positives_counted_where_95_percent_are_caught():
    torch.manual_seed(0)  # rounded, so that many are equal
    ordinary, strange = (2 * torch.randn(70)).round(), (2 * torch.randn(40) + 2).round()
    truth, scores = [0] * 70 + [1] * 40, torch.cat([ordinary, strange])
    threshold = max(s for s in strange if (strange >= s).double().mean() >= 0.95)
    found = detection(ordinary, strange)
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["aupr"] == pytest.approx(average_precision_score(truth, scores))
    assert found["fpr_at_95_tpr"] == pytest.approx((ordinary >= threshold).double().mean().item())


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
