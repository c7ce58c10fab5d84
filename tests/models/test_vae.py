"""The ELBO by hand and by importance sampling, the reparameterisation's statistics, and traversals."""

import math

import lab
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from genlab.contract.data import Batch, image_spec
from genlab.models.vae import VAE
from genlab.networks.mlp import FullyConnected

DATA = image_spec((1, 8, 8))


def small(**options):
    torch.manual_seed(0)
    return VAE(DATA, **{"latent_dim": 3, "network": FullyConnected([16]), **options})


def batch_of(n=6):
    torch.manual_seed(1)
    return Batch({"x": torch.rand(n, *DATA.shape)}, seed=3)


def test_latents_are_drawn_from_the_posterior():
    model, mu, sigma = small(), torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 0.1, 3.0])
    model.posterior = lambda x, condition: (mu.expand(len(x), 3), 2 * sigma.log().expand(len(x), 3))
    seen = lab.inputs_of(model.decoder)
    model.terms(batch_of(20_000))
    (z,) = seen
    torch.testing.assert_close(z.mean(0), mu, atol=0.1, rtol=0)
    torch.testing.assert_close(z.std(0), sigma, rtol=0.03, atol=0)
    assert torch.corrcoef(z.T).triu(1).abs().max() < 0.05


def test_gradients_pass_through_the_draw():
    """d E[z^2] / d mu = 2 mu and d E[z^2] / d log_var = sigma^2, as only a reparameterised draw gives them."""
    mu = torch.full((50_000, 1), 1.5, requires_grad=True)
    log_var = torch.full((50_000, 1), math.log(0.25), requires_grad=True)
    model = small(latent_dim=1)
    model.posterior, model.decoder = lambda x, condition: (mu, log_var), nn.Unflatten(1, (1, 1, 1))
    seen = lab.inputs_of(model.decoder)
    model.terms(Batch({"x": torch.rand(50_000, 1, 1, 1)}, seed=0))
    seen[0].square().sum(1).mean().backward()
    assert mu.grad.sum().item() == pytest.approx(3.0, rel=0.02)
    assert log_var.grad.sum().item() == pytest.approx(0.25, rel=0.03)


def test_objective_is_minus_the_elbo():
    model, batch = small(), batch_of()
    seen = lab.inputs_of(model.decoder)
    (update,) = model.training_step(batch, 0)
    x, z = batch["x"], seen[0]
    mu, log_var = model.posterior(x)
    p = model.decode(z)
    log_likelihood = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    posterior = Independent(Normal(mu, (log_var / 2).exp()), 1)
    kl = torch.distributions.kl_divergence(posterior, prior)
    torch.testing.assert_close(update.loss, (kl - log_likelihood).mean())
    torch.testing.assert_close(update.log["kl"], kl.mean())
    torch.testing.assert_close(update.log["reconstruction"], -log_likelihood.mean())


def test_evaluate_reports_one_account():
    model, batch = small(), batch_of()
    with torch.no_grad():
        values = model.evaluate(batch)
    assert values["elbo"].item() == pytest.approx(-(values["reconstruction"] + values["kl"]).item(), rel=1e-6)
    assert values["bits_per_dim"].item() == pytest.approx(-values["elbo"].item() / (64 * math.log(2)), rel=1e-6)
    expected = (model.reconstruct(batch["x"]) - batch["x"]).square().mean()
    torch.testing.assert_close(values["mse"], expected)
    assert set(model.metrics) <= set(values)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_log_weights_are_joint_over_posterior(float64, likelihood):
    """log p(x | z) + log p(z) - log q(z | x) by torch.distributions, at the very z that were decoded."""
    model = small(likelihood=likelihood, variance=0.1)
    seen, x = lab.inputs_of(model.decoder), torch.rand(4, *DATA.shape)
    with torch.no_grad():
        weights = model.log_weights(x, 5)
        z = seen[0].view(5, 4, 3)
        mu, log_var = model.posterior(x)
        images = model.decode(z.flatten(0, 1)).view(5, *x.shape)
    if likelihood == "bernoulli":
        pixels = x * images.log() + (1 - x) * (1 - images).log()
    else:
        pixels = Normal(images, math.sqrt(0.1)).log_prob(x)
    prior, posterior = Independent(Normal(torch.zeros(4, 3), 1.0), 1), Independent(Normal(mu, (log_var / 2).exp()), 1)
    assert weights.shape == (5, 4)
    torch.testing.assert_close(weights, pixels.flatten(2).sum(2) + prior.log_prob(z) - posterior.log_prob(z))


def test_log_weights_average_to_the_elbo(float64):
    """With z drawn afresh for every image and sample, from an encoder that is asked once."""
    model, x = small(), batch_of()["x"].double()
    asked = lab.inputs_of(model.encoder)
    with torch.no_grad():
        weights = model.log_weights(x, 4000)
        assert len(asked) == 1 and weights.std(0).min() > 0
        elbo = torch.stack([model.evaluate(Batch({"x": x}, seed))["elbo"] for seed in range(300)])
    assert weights.mean().item() == pytest.approx(elbo.mean().item(), abs=4 * elbo.std().item() / 300**0.5)


def test_traversals_move_one_used_latent_a_row():
    model, batch = small(), batch_of(9)
    mu = torch.linspace(-1, 1, 9)[:, None] * torch.tensor([1.0, 0.1, 2.0])  # the KL of the second is below 0.01
    model.posterior = lambda x, condition: (mu, torch.zeros_like(mu))
    seen = lab.inputs_of(model.decoder)
    with torch.no_grad():
        grid = model._traversals(batch["x"], None)
    z = seen[0].view(2, 9, 3)
    assert grid.examples.shape == (2, 9, *DATA.shape)
    assert grid.rows == ["latent 2\nKL 0.83", "latent 0\nKL 0.21"] and grid.columns[:5] == [
        "-2",
        "-1.5",
        "-1",
        "-0.5",
        "0",
    ]
    for row, latent in enumerate((2, 0)):
        others = [number for number in range(3) if number != latent]
        ends = z[row, 0, latent].item(), z[row, -1, latent].item()
        assert ends[0] == -ends[1] < 0
        torch.testing.assert_close(z[row, :, latent], torch.linspace(*ends, 9))
        assert torch.equal(z[row][:, others], z[row, :1, others].expand(9, -1)), "the others are held"


def test_of_latents_that_do_nothing_one_is_shown():
    model, batch = small(), batch_of(9)
    model.posterior = lambda x, condition: (torch.zeros(9, 3), torch.zeros(9, 3))
    with torch.no_grad():
        assert model._traversals(batch["x"], None).examples.shape == (1, 9, *DATA.shape)


def test_the_learned_variance_is_trained_with_the_networks():
    model, batch = small(likelihood="gaussian-learned"), batch_of()
    (update,) = model.training_step(batch, 0)
    assert all(gradient.any() for gradient in torch.autograd.grad(update.loss, list(model.likelihood.parameters())))
