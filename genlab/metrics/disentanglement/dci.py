"""DCI: disentanglement, completeness and informativeness of codes, read from what forests need to predict the factors.

Reference: Eastwood and Williams 2018, A Framework for the Quantitative Evaluation of Disentangled Representations,
https://openreview.net/forum?id=By-7dz-AZ
"""

import numpy as np
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from genlab.metrics.disentanglement.table import Table, tabulate
from genlab.system.seeding import mix

_TREES, _DEPTH, _SMALLEST_LEAF = 20, 12, 5
_TESTED = 0.25


def dci(codes: Tensor, factors: Tensor, seed: int) -> dict[str, float]:
    """Three numbers in [0, 1], 1 the best, for codes [N, L] and factors [N, F]; a function of the seed.

    A random forest predicts every factor's value; R_ij is the importance of code i for factor j (mean decrease of
    impurity, sums to 1 over i).
    disentanglement: 1 - entropy over factors of R_i. / sum R_i. (in units of its maximum), mean over codes by sum R_i.
    completeness: 1 - entropy over codes of R_.j (likewise), mean over factors.
    informativeness: mean over factors of the accuracy on a quarter of the examples that was held out; chance is the
        share of the commonest value. The paper gives an error of regression instead.
    """
    table = tabulate(codes, factors)
    order = np.random.default_rng(mix(seed)).permutation(len(table.codes))
    held_out, fitted = np.split(order, [int(_TESTED * len(order))])
    forests = [_fit(table, factor, fitted, seed) for factor in range(table.num_factors)]
    importance = np.stack([forest.feature_importances_ for forest in forests], axis=1)
    accuracies = [
        forest.score(table.codes[held_out], table.values[held_out, factor]) for factor, forest in enumerate(forests)
    ]
    return {
        "disentanglement": _mean_concentration(importance),
        "completeness": _mean_concentration(importance.T),
        "informativeness": float(np.mean(accuracies)),
    }


def _fit(table: Table, factor: int, rows: np.ndarray, seed: int) -> RandomForestClassifier:
    forest = RandomForestClassifier(
        _TREES,
        max_depth=_DEPTH,
        min_samples_leaf=_SMALLEST_LEAF,
        max_features=None,  # every split sees all codes: else useless ones would be split on, and look important
        random_state=mix(seed, factor) % 2**32,
    )
    return forest.fit(table.codes[rows], table.values[rows, factor])


def _mean_concentration(importance: np.ndarray) -> float:
    """Mean over rows, weighted by their sums, of 1 - H(row / its sum) / log(its length): 0 where nothing matters."""
    sums = importance.sum(1)
    used = sums > 0
    if not used.any():
        return 0.0
    entropies = entropy(importance[used], axis=1) / np.log(max(2, importance.shape[1]))  # a single entry has entropy 0
    return float(np.average(1 - entropies, weights=sums[used]))
