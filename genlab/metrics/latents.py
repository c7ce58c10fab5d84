"""Metrics of a latent space that need no knowledge about the images.

References:
- Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519
- Locatello et al. 2019, Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations,
  https://arxiv.org/abs/1811.12359
"""

import torch
from torch import Tensor


def active_units(latents: Tensor, threshold: float = 0.01) -> int:
    """Number of latents that depend on the image: Var_x(E[z_d | x]) > threshold (Burda et al. 2016, section 5.2).

    latents: means of q(z | x), [N, L], in units of the prior's standard deviation.
    """
    return int((latents.cpu().double().var(0) > threshold).sum())


def total_correlation(latents: Tensor) -> float:
    """KL(q(z) || prod_d q(z_d)) in nats of the normal distribution with the covariance of `latents` [N, L].

    The Gaussian estimate of Locatello et al. 2019: it sees linear dependence only. 0 if latents are uncorrelated (about
    L (L - 1) / 4N by chance); infinite if one is a linear function of others. Constant latents add 0.
    """
    latents = latents.cpu().double()
    varying = latents[:, latents.std(0) > 0]
    if varying.shape[1] < 2:
        return 0.0
    # (sum_d log C_dd - log det C) / 2 for a covariance C, and the correlations R have R_dd = 1
    return float(-torch.linalg.slogdet(torch.corrcoef(varying.T)).logabsdet / 2)
