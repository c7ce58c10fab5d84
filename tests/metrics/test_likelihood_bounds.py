"""Bounds on a likelihood that is known in closed form."""

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from genlab.metrics.likelihood import likelihood_bounds

LATENTS, PIXELS, NOISE = 2, 6, 0.5


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + b, s^2 I), and a q(z | x) that is a little off in its mean and its spread."""

    def __init__(self):
        torch.manual_seed(0)
        self.w, self.b = torch.randn(PIXELS, LATENTS).double() / 2, torch.randn(PIXELS).double()
        self.most_at_once = 0

    def q(self, x):
        precision = torch.eye(LATENTS) + self.w.T @ self.w / NOISE**2
        mean = torch.linalg.solve(precision, (x - self.b) @ self.w / NOISE**2, left=False)
        return Normal(mean + 0.1, 1.3 * precision.inverse().diagonal().sqrt().expand_as(mean))

    def log_weights(self, x, num_samples):
        self.most_at_once = max(self.most_at_once, num_samples)
        z = self.q(x).sample((num_samples,))
        log_joint = Normal(z @ self.w.T + self.b, NOISE).log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
        return log_joint - self.q(x).log_prob(z).sum(-1)

    def log_likelihood(self, x):
        covariance = self.w @ self.w.T + NOISE**2 * torch.eye(PIXELS)
        return MultivariateNormal(self.b, covariance).log_prob(x)

    def images(self, n):
        return torch.randn(n, LATENTS).double() @ self.w.T + self.b + NOISE * torch.randn(n, PIXELS)


class Given:
    """Hands out fixed weights, a few at a time."""

    def __init__(self, log_weights):
        self.parts = iter(log_weights)

    def log_weights(self, x, num_samples):
        return torch.stack([next(self.parts) for _ in range(num_samples)])


def test_bound_reaches_a_known_likelihood_from_below(float64):
    model = LinearGaussian()
    x = model.images(20)
    exact = model.log_likelihood(x)
    estimates = torch.stack([likelihood_bounds(model, x, 5000, chunk=500).importance_weighted for _ in range(8)])
    error = estimates.std(0) / 8**0.5
    assert (estimates - exact).abs().max() < 0.05
    assert (estimates.mean(0) < exact + 4 * error).all(), "never above beyond Monte Carlo error"


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_chunks_add_up(chunk):
    """Far below what an exponential can hold, and spread over hundreds of nats."""
    log_weights = -90_000 + 200 * torch.randn(7, 4)
    bounds = likelihood_bounds(Given(log_weights), torch.zeros(4, 1), 7, chunk)
    exact = log_weights.double()
    torch.testing.assert_close(bounds.elbo, exact.mean(0))
    torch.testing.assert_close(bounds.importance_weighted, exact.logsumexp(0) - torch.tensor(7.0).double().log())


def test_no_more_than_a_chunk_is_weighed_at_once():
    model = LinearGaussian()
    likelihood_bounds(model, torch.randn(3, PIXELS).double(), 100, chunk=9)
    assert model.most_at_once == 9


def test_refuses_no_draws():
    with pytest.raises(ValueError, match="num_samples=0: must be at least 1"):
        likelihood_bounds(LinearGaussian(), torch.zeros(1, PIXELS), 0)
