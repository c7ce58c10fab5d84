"""The KL of the VAE against torch.distributions."""

import torch
from torch.distributions import Normal, kl_divergence

from genlab.losses.divergence import kl_to_standard_normal


def test_each_latent_has_the_divergence_of_torch_distributions():
    mu, log_var = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    torch.testing.assert_close(kl_to_standard_normal(mu, log_var), expected, rtol=1e-12, atol=1e-12)
