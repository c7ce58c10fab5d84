"""DCI: disentanglement, completeness and informativeness, from the latents that forests use to predict the factors.

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


def dci(latents: Tensor, factors: Tensor, seed: int) -> dict[str, float]:
    """Three scores in [0, 1], 1 is best, for latents [N, L] and factors [N, F]; a function of the seed.

    A random forest predicts every factor's value; R_ij is the importance of latent i for factor j (mean decrease in
    impurity, sums to 1 over i).
    disentanglement: 1 - entropy over factors of R_i. / sum R_i. (relative to its maximum), mean over latents
        weighted by sum R_i.
    completeness: 1 - entropy over latents of R_.j (relative to its maximum), mean over factors.
    informativeness: mean over factors of the accuracy on a held-out quarter of the examples; chance is the frequency
        of the most common value. The paper reports a regression error instead.
    """
    table = tabulate(latents, factors)
    order = np.random.default_rng(mix(seed)).permutation(len(table.latents))
    held_out, fitted = np.split(order, [int(_TESTED * len(order))])
    forests = [_fit(table, factor, fitted, seed) for factor in range(table.num_factors)]
    importance = np.stack([forest.feature_importances_ for forest in forests], axis=1)
    accuracies = [
        forest.score(table.latents[held_out], table.values[held_out, factor]) for factor, forest in enumerate(forests)
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
        max_features=None,  # every split sees all latents: otherwise useless ones would be used and look important
        random_state=mix(seed, factor) % 2**32,
    )
    return forest.fit(table.latents[rows], table.values[rows, factor])


def _mean_concentration(importance: np.ndarray) -> float:
    """Mean over rows, weighted by their sums, of 1 - H(row / its sum) / log(its length); 0 if all are zero."""
    sums = importance.sum(1)
    used = sums > 0
    if not used.any():
        return 0.0
    entropies = entropy(importance[used], axis=1) / np.log(max(2, importance.shape[1]))  # a single entry has entropy 0
    return float(np.average(1 - entropies, weights=sums[used]))
