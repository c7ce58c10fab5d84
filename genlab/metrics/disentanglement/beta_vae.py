"""The beta-VAE score: can a line tell, from how codes differ, which factor two images share?

Reference: Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, https://openreview.net/forum?id=Sy2fzU9gl
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from genlab.metrics.disentanglement.table import tabulate
from genlab.system.seeding import mix


def beta_vae_score(codes: Tensor, factors: Tensor, seed: int, points: int = 5000, pairs: int = 64) -> float:
    """Accuracy in [0, 1] of a linear classifier that names the shared factor; chance is 1 / factors that vary.

    codes: [N, L]. factors: [N, F]. A point is the mean of |z - z'| over `pairs` of examples that share the value of
    one factor. Logistic regression on the codes in units of their spread learns half of the `points`, the other half
    test it. Examples are matched in the table instead of rendered anew. A function of the seed.
    """
    table = tabulate(codes, factors)
    if table.num_factors == 1:
        return 1.0  # the only answer is right, and a classifier cannot be fitted to one class
    generator = np.random.default_rng(mix(seed))
    shared = generator.integers(table.num_factors, size=points)
    differences = np.empty((points, table.codes.shape[1]))
    for factor in range(table.num_factors):
        rows = generator.integers(len(table.codes), size=(shared == factor).sum() * pairs)
        partners = table.partners(factor, rows, 1, generator)[:, 0]
        for code, values in enumerate(table.codes.T):
            apart = np.abs(values[rows] - values[partners])
            differences[shared == factor, code] = apart.reshape(-1, pairs).mean(1)
    half = points // 2
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(differences[:half], shared[:half])
    return float(classifier.score(differences[half:], shared[half:]))
