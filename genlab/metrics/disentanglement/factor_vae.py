"""The FactorVAE score: is there a latent that is constant exactly when a factor is?

Reference: Kim and Mnih 2018, Disentangling by Factorising, https://arxiv.org/abs/1802.05983
"""

import numpy as np
from torch import Tensor

from genlab.metrics.disentanglement.table import Table, tabulate
from genlab.system.seeding import mix


def factor_vae_score(latents: Tensor, factors: Tensor, seed: int, votes: int = 5000, group: int = 64) -> float:
    """Accuracy in [0, 1] of predicting the fixed factor from one latent's index; chance is 1 / factors that vary.

    latents: [N, L]. factors: [N, F]. A vote takes `group` examples that share the value of one factor and picks the
    latent with the least variance in the group, relative to its variance over all examples; constant latents are
    ignored. Half of the `votes` assign a factor to each latent, by majority, and the other half test this.
    Examples are drawn from the table instead of rendered anew. A function of the seed.
    """
    table = tabulate(latents, factors)
    generator = np.random.default_rng(mix(seed))
    fixed = generator.integers(table.num_factors, size=votes)
    least_varying = np.empty(votes, dtype=np.int64)
    for factor in range(table.num_factors):
        rows = generator.integers(len(table.latents), size=(fixed == factor).sum())
        least_varying[fixed == factor] = _least_varying(table, table.partners(factor, rows, group, generator))
    counts = np.zeros((table.latents.shape[1], table.num_factors))
    fitted, tested = slice(None, votes // 2), slice(votes // 2, None)
    np.add.at(counts, (least_varying[fitted], fixed[fitted]), 1)
    return float((counts.argmax(1)[least_varying[tested]] == fixed[tested]).mean())


def _least_varying(table: Table, groups: np.ndarray) -> np.ndarray:
    """Index of the latent that varies least in each of `groups` [votes, group] of rows."""
    overall = table.latents.var(0)
    within = np.stack([latent[groups].var(1) for latent in table.latents.T], axis=1)
    relative = np.divide(within, overall, out=np.full_like(within, np.inf), where=overall > 0)
    return relative.argmin(1)
