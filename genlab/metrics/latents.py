"""What a set of codes says about a latent space when nothing is known about the images.

References:
- Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519
- Locatello et al. 2019, Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations,
  https://arxiv.org/abs/1811.12359
"""

import torch
from torch import Tensor


def active_units(codes: Tensor, threshold: float = 0.01) -> int:
    """Number of latents that the images move: Var_x(E[z_d | x]) > threshold (Burda et al. 2016, section 5.2).

    codes: means of q(z | x), [N, L], in units of the prior's standard deviation.
    """
    return int((codes.cpu().double().var(0) > threshold).sum())


def total_correlation(codes: Tensor) -> float:
    """KL(q(z) || prod_d q(z_d)) in nats of the normal distribution with the covariance of `codes` [N, L].

    The Gaussian estimate of Locatello et al. 2019: it sees linear dependence only. 0 where codes are uncorrelated (by
    chance about L (L - 1) / 4N); infinite where one is a linear function of others. Codes that never change add 0.
    """
    codes = codes.cpu().double()
    moving = codes[:, codes.std(0) > 0]
    if moving.shape[1] < 2:
        return 0.0
    # (sum_d log C_dd - log det C) / 2 for a covariance C, and the correlations R have R_dd = 1
    return float(-torch.linalg.slogdet(torch.corrcoef(moving.T)).logabsdet / 2)
