"""How well a score separates outliers from in-distribution images.

Reference: Hendrycks and Gimpel 2017, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
Networks, https://arxiv.org/abs/1610.02136
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

_TRUE_POSITIVES = 0.95


def detection(scores_in: Tensor, scores_out: Tensor) -> dict[str, float]:
    """Detect outliers (positive class) by scores of inliers [N] and outliers [M]; higher means less likely.

    auroc: probability that an outlier scores above an inlier, ties counted half; 0.5 is chance.
    aupr: average precision; chance is the fraction M / (N + M) of outliers.
    fpr_at_95_tpr: fraction of inliers above the highest threshold that detects at least 95 % of the outliers;
        0.95 is chance.
    `ValueError` if there are no inliers or no outliers, or a score is not finite.
    """
    sides = [np.asarray(side.detach().cpu(), dtype=np.float64) for side in (scores_in, scores_out)]
    for name, side in zip(("scores_in", "scores_out"), sides, strict=True):
        if not len(side):
            raise ValueError(f"{name}: holds no score; give at least one image")
        if broken := int((~np.isfinite(side)).sum()):
            raise ValueError(f"{name}: {broken} of {len(side)} scores are not finite; choose another method")
    is_outlier = np.repeat([0, 1], [len(side) for side in sides])
    scores = np.concatenate(sides)
    false_positives, true_positives, _ = roc_curve(is_outlier, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(is_outlier, scores)),
        "aupr": float(average_precision_score(is_outlier, scores)),
        "fpr_at_95_tpr": float(false_positives[np.argmax(true_positives >= _TRUE_POSITIVES)]),
    }
