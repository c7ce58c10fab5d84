"""How well codes keep the known factors of a dataset apart: five published scores from one table of codes and factors.

Factors that cannot be read from an image lower every score: a square looks the same after a quarter turn.
"""

from collections.abc import Collection

from torch import Tensor

from genlab.metrics.disentanglement.beta_vae import beta_vae_score
from genlab.metrics.disentanglement.dci import dci
from genlab.metrics.disentanglement.factor_vae import factor_vae_score
from genlab.metrics.disentanglement.mig import mig
from genlab.metrics.disentanglement.sap import sap


def disentanglement_scores(
    codes: Tensor, factors: Tensor, seed: int, categorical: Collection[int] = ()
) -> dict[str, float]:
    """All scores by name, each in [0, 1] with 1 the best, for codes [N, L] (means of q(z | x)) and factors [N, F].

    `categorical`: columns of factors whose values have no order. A function of the seed; see each score's own page.
    """
    parts = {f"dci_{name}": value for name, value in dci(codes, factors, seed).items()}
    return {
        "mig": mig(codes, factors),
        "sap": sap(codes, factors, categorical),
        **parts,
        "factor_vae_score": factor_vae_score(codes, factors, seed),
        "beta_vae_score": beta_vae_score(codes, factors, seed),
    }
