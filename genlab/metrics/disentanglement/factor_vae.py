"""The FactorVAE score: is there a code that stands still exactly when a factor does?

Reference: Kim and Mnih 2018, Disentangling by Factorising, https://arxiv.org/abs/1802.05983
"""

import numpy as np
from torch import Tensor

from genlab.metrics.disentanglement.table import Table, tabulate
from genlab.system.seeding import mix


def factor_vae_score(codes: Tensor, factors: Tensor, seed: int, votes: int = 5000, group: int = 64) -> float:
    """Accuracy in [0, 1] of telling from one code's number which factor was fixed; chance is 1 / factors that vary.

    codes: [N, L]. factors: [N, F]. A vote takes `group` examples that share the value of one factor and names the code
    with the least variance in the group, in units of its variance over all examples; codes that never change do not
    take part. Half of the `votes` decide which factor each code stands for, by majority, and the other half test it.
    Examples are matched in the table instead of rendered anew. A function of the seed.
    """
    table = tabulate(codes, factors)
    generator = np.random.default_rng(mix(seed))
    fixed = generator.integers(table.num_factors, size=votes)
    stillest = np.empty(votes, dtype=np.int64)
    for factor in range(table.num_factors):
        rows = generator.integers(len(table.codes), size=(fixed == factor).sum())
        stillest[fixed == factor] = _stillest_codes(table, table.partners(factor, rows, group, generator))
    counts = np.zeros((table.codes.shape[1], table.num_factors))
    learnt, tested = slice(None, votes // 2), slice(votes // 2, None)
    np.add.at(counts, (stillest[learnt], fixed[learnt]), 1)
    return float((counts.argmax(1)[stillest[tested]] == fixed[tested]).mean())


def _stillest_codes(table: Table, groups: np.ndarray) -> np.ndarray:
    """Number of the code that varies least in each of `groups` [votes, group] of rows."""
    overall = table.codes.var(0)
    within = np.stack([code[groups].var(1) for code in table.codes.T], axis=1)
    relative = np.divide(within, overall, out=np.full_like(within, np.inf), where=overall > 0)
    return relative.argmin(1)
