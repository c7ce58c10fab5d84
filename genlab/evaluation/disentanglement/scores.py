"""How well codes keep the known factors of a dataset apart: five published scores from one table of codes and factors.

Factors that cannot be read from a picture lower every score: a square looks the same after a quarter turn.
"""

from collections.abc import Collection

from torch import Tensor

from genlab.evaluation.disentanglement.beta_vae import beta_vae_score
from genlab.evaluation.disentanglement.dci import dci
from genlab.evaluation.disentanglement.factor_vae import factor_vae_score
from genlab.evaluation.disentanglement.mig import mig
from genlab.evaluation.disentanglement.sap import sap

SCORES = (
    *("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness"),
    *("factor_vae_score", "beta_vae_score"),
)
"""Names of the scores."""


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
