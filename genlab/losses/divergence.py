"""Divergences between distributions of latents, in nats per example."""

from torch import Tensor


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, diag exp log_var) || N(0, I)), one term per latent, [N, D] -> [N, D]; sum over D for the total.

    Kingma and Welling 2014, appendix B, https://arxiv.org/abs/1312.6114
    """
    # KL_d = (mu_d^2 + sigma_d^2 - 1 - log sigma_d^2) / 2
    return (mu.square() + log_var.exp() - 1 - log_var) / 2
