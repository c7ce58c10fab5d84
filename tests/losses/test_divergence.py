"""The KL of the VAE against torch.distributions and against its own definition by Monte Carlo."""

import torch
from torch.distributions import Normal, kl_divergence

from genlab.losses.divergence import kl_to_standard_normal


def some_posteriors(rows=6, latents=5):
    generator = torch.Generator().manual_seed(0)
    mu = 2 * torch.randn(rows, latents, generator=generator, dtype=torch.float64)
    log_var = torch.randn(rows, latents, generator=generator, dtype=torch.float64)
    return mu, log_var


def test_agrees_with_torch_distributions():
    mu, log_var = some_posteriors()
    expected = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    torch.testing.assert_close(kl_to_standard_normal(mu, log_var), expected, rtol=1e-12, atol=1e-12)


def test_agrees_with_monte_carlo():
    """KL(q || p) = E_q [log q(z) - log p(z)]."""
    mu, log_var = some_posteriors(rows=3, latents=2)
    torch.manual_seed(1)
    q, p = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = q.sample((200_000,))
    draws = q.log_prob(z) - p.log_prob(z)
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - kl_to_standard_normal(mu, log_var)).abs() < 5 * error).all()


def test_is_zero_at_the_prior_and_positive_elsewhere():
    mu, log_var = some_posteriors()
    assert (kl_to_standard_normal(torch.zeros(3, 2), torch.zeros(3, 2)) == 0).all()
    assert (kl_to_standard_normal(mu, log_var) > 0).all()
    assert kl_to_standard_normal(mu, log_var).shape == mu.shape, "a term for each latent, not yet summed"
