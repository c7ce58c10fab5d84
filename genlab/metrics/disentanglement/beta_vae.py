"""The beta-VAE score: can a linear classifier tell, from latent differences, which factor two images share?

Reference: Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, https://openreview.net/forum?id=Sy2fzU9gl
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from genlab.metrics.disentanglement.table import tabulate
from genlab.system.seeding import mix


def beta_vae_score(latents: Tensor, factors: Tensor, seed: int, points: int = 5000, pairs: int = 64) -> float:
    """Accuracy in [0, 1] of a linear classifier that names the shared factor; chance is 1 / factors that vary.

    latents: [N, L]. factors: [N, F]. A point is the mean of |z - z'| over `pairs` of examples that share the value of
    one factor. Logistic regression is fitted to half of the standardized `points` and tested on the other half.
    Examples are drawn from the table instead of rendered anew. A function of the seed.
    """
    table = tabulate(latents, factors)
    if table.num_factors == 1:
        return 1.0  # the only answer is correct, and a classifier cannot be fitted to one class
    generator = np.random.default_rng(mix(seed))
    shared = generator.integers(table.num_factors, size=points)
    differences = np.empty((points, table.latents.shape[1]))
    for factor in range(table.num_factors):
        rows = generator.integers(len(table.latents), size=(shared == factor).sum() * pairs)
        partners = table.partners(factor, rows, 1, generator)[:, 0]
        for latent, values in enumerate(table.latents.T):
            distances = np.abs(values[rows] - values[partners])
            differences[shared == factor, latent] = distances.reshape(-1, pairs).mean(1)
    half = points // 2
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(differences[:half], shared[:half])
    return float(classifier.score(differences[half:], shared[half:]))
