"""Disentanglement of the known factors of a dataset: five published scores from one table of latents and factors.

Factors that an image does not determine lower every score: a square looks the same after a quarter turn.
"""

from collections.abc import Collection

from torch import Tensor

from genlab.metrics.disentanglement.beta_vae import beta_vae_score
from genlab.metrics.disentanglement.dci import dci
from genlab.metrics.disentanglement.factor_vae import factor_vae_score
from genlab.metrics.disentanglement.mig import mig
from genlab.metrics.disentanglement.sap import sap


def disentanglement_scores(
    latents: Tensor, factors: Tensor, seed: int, categorical: Collection[int] = ()
) -> dict[str, float]:
    """All scores by name, each in [0, 1] (1 is best), for latents [N, L] (means of q(z | x)) and factors [N, F].

    `categorical`: columns of factors whose values have no order. A function of the seed; see the module of each score.
    """
    parts = {f"dci_{name}": value for name, value in dci(latents, factors, seed).items()}
    return {
        "mig": mig(latents, factors),
        "sap": sap(latents, factors, categorical),
        **parts,
        "factor_vae_score": factor_vae_score(latents, factors, seed),
        "beta_vae_score": beta_vae_score(latents, factors, seed),
    }
