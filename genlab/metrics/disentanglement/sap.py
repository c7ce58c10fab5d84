"""SAP, the separated attribute predictability: does one code alone predict a factor?

Reference: Kumar, Sattigeri, Balakrishnan 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, https://arxiv.org/abs/1711.00848
"""

from collections.abc import Collection

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from genlab.metrics.disentanglement.table import tabulate


def sap(codes: Tensor, factors: Tensor, categorical: Collection[int] = ()) -> float:
    """Mean over the factors of their predictability gaps: 1 where each factor has a code of its own, 0 at worst."""
    return float(np.mean(list(predictability_gaps(codes, factors, categorical).values())))


def predictability_gaps(codes: Tensor, factors: Tensor, categorical: Collection[int] = ()) -> dict[int, float]:
    """Gap of each factor that varies, by its column, between the two codes that predict it best: numbers in [0, 1].

    codes: [N, L]. factors: [N, F]; `categorical` holds the columns whose values have no order.
    Ordered factors are predicted by a line and scored by R^2, so a factor that is an angle seems harder than it is.
    Categorical ones are predicted by thresholds on the code, one less than there are values, and scored by balanced
    accuracy. Other than published, that accuracy is scaled so that chance is 0: a perfect code then scores 1.
    """
    table = tabulate(codes, factors)
    gaps = {}
    for number, column in enumerate(table.columns):
        if column in categorical:
            scores = [_accuracy_of_thresholds(code, table.values[:, number]) for code in table.codes.T]
        else:
            scores = [_explained_by_line(code, table.factors[:, number]) for code in table.codes.T]
        second, first = np.sort([0.0, *scores])[-2:]
        gaps[column] = float(first - second)
    return gaps


def _explained_by_line(code: np.ndarray, factor: np.ndarray) -> float:
    """R^2 = cov(z, v)^2 / (var z var v), 0 for a code that never changes."""
    return np.corrcoef(code, factor)[0, 1] ** 2 if np.ptp(code) > 0 else 0.0


def _accuracy_of_thresholds(code: np.ndarray, value: np.ndarray) -> float:
    """A tree with a leaf for each value cuts the code where classes, equally weighted, are told apart best."""
    tree = DecisionTreeClassifier(max_leaf_nodes=value.max() + 1, class_weight="balanced", random_state=0)
    answers = tree.fit(code[:, None], value).predict(code[:, None])
    return balanced_accuracy_score(value, answers, adjusted=True)
