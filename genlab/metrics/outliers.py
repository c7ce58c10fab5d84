"""How well a score tells strange images from ordinary ones.

Reference: Hendrycks and Gimpel 2017, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
Networks, https://arxiv.org/abs/1610.02136
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

_TRUE_POSITIVES = 0.95


def detection(scores_in: Tensor, scores_out: Tensor) -> dict[str, float]:
    """Detect outliers (the positive class) by scores [N] of ordinary and [M] of strange images; higher = less likely.

    auroc: probability that a strange image scores above an ordinary one, ties counted half; 0.5 is chance.
    aupr: average precision; chance is the share M / (N + M) of strange images.
    fpr_at_95_tpr: share of ordinary images above the highest threshold that catches at
        least 95 % of the strange ones; 0.95 is chance.
    `ValueError` where a side is empty or a score is not finite.
    """
    sides = [np.asarray(side.detach().cpu(), dtype=np.float64) for side in (scores_in, scores_out)]
    for name, side in zip(("scores_in", "scores_out"), sides, strict=True):
        if not len(side):
            raise ValueError(f"{name}: holds no score; give at least one image")
        if broken := int((~np.isfinite(side)).sum()):
            raise ValueError(f"{name}: {broken} of {len(side)} scores are not finite; choose another method")
    strange = np.repeat([0, 1], [len(side) for side in sides])
    scores = np.concatenate(sides)
    false_positives, true_positives, _ = roc_curve(strange, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(strange, scores)),
        "aupr": float(average_precision_score(strange, scores)),
        "fpr_at_95_tpr": float(false_positives[np.argmax(true_positives >= _TRUE_POSITIVES)]),
    }
