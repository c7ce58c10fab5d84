"""SAP, the separated attribute predictability: does a single latent predict each factor?

Reference: Kumar, Sattigeri, Balakrishnan 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, https://arxiv.org/abs/1711.00848
"""

from collections.abc import Collection

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from genlab.metrics.disentanglement.table import tabulate


def sap(latents: Tensor, factors: Tensor, categorical: Collection[int] = ()) -> float:
    """Mean over the factors of their predictability gaps: 1 if each factor has its own latent, 0 at worst."""
    return float(np.mean(list(predictability_gaps(latents, factors, categorical).values())))


def predictability_gaps(latents: Tensor, factors: Tensor, categorical: Collection[int] = ()) -> dict[int, float]:
    """Gap of each factor that varies, by its column, between the two latents that predict it best: values in [0, 1].

    latents: [N, L]. factors: [N, F]; `categorical` holds the columns whose values have no order.
    Ordered factors are predicted by linear regression and scored by R^2, which underrates latents that encode an angle.
    Categorical ones are predicted by thresholds on the latent, one fewer than values, and scored by balanced accuracy.
    Unlike in the paper, that accuracy is scaled so that chance is 0 and a perfect latent scores 1.
    """
    table = tabulate(latents, factors)
    gaps = {}
    for number, column in enumerate(table.columns):
        if column in categorical:
            scores = [_accuracy_of_thresholds(latent, table.values[:, number]) for latent in table.latents.T]
        else:
            scores = [_r_squared(latent, table.factors[:, number]) for latent in table.latents.T]
        second, first = np.sort([0.0, *scores])[-2:]
        gaps[column] = float(first - second)
    return gaps


def _r_squared(latent: np.ndarray, factor: np.ndarray) -> float:
    """R^2 = cov(z, v)^2 / (var z var v), 0 for a constant latent."""
    return np.corrcoef(latent, factor)[0, 1] ** 2 if np.ptp(latent) > 0 else 0.0


def _accuracy_of_thresholds(latent: np.ndarray, value: np.ndarray) -> float:
    """Scaled accuracy of a tree with one leaf per value, which places thresholds to best separate weighted classes."""
    tree = DecisionTreeClassifier(max_leaf_nodes=value.max() + 1, class_weight="balanced", random_state=0)
    answers = tree.fit(latent[:, None], value).predict(latent[:, None])
    return balanced_accuracy_score(value, answers, adjusted=True)
