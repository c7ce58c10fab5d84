"""beta weighs the KL of the objective and never that of the reported ELBO; capacity pulls the KL to C."""

import pytest
import torch

from genlab.contract.data import Batch, image_spec
from genlab.models.beta_vae import BetaVAE
from genlab.models.vae import VAE
from genlab.networks.mlp import FullyConnected

DATA = image_spec((1, 8, 8))


def small(kind=BetaVAE, **options):
    torch.manual_seed(0)
    return kind(DATA, latent_dim=3, network=FullyConnected([16]), **options)


def batch():
    torch.manual_seed(1)
    return Batch({"x": torch.rand(6, *DATA.shape)}, seed=3)


def step_of(model, step=0):
    (update,) = model.training_step(batch(), step)
    return update.loss.item(), update.log["reconstruction"].item(), update.log["kl"].item()


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_objective_is_reconstruction_plus_beta_kl(beta):
    loss, reconstruction, kl = step_of(small(beta=beta))
    assert kl > 0
    assert loss == pytest.approx(reconstruction + beta * kl, rel=1e-6)


def test_beta_one_is_the_vae():
    assert step_of(small(beta=1.0)) == step_of(small(VAE))


def test_reported_elbo_does_not_know_beta():
    with torch.no_grad():
        reports = [small(beta=beta).evaluate(batch()) for beta in (1.0, 16.0)]
        reports.append(small(VAE).evaluate(batch()))
    for other in reports[1:]:
        assert {name: value.item() for name, value in other.items()} == {
            name: value.item() for name, value in reports[0].items()
        }


@pytest.mark.parametrize("step, capacity", [(0, 0.0), (50, 10.0), (100, 20.0), (1000, 20.0)])
def test_capacity_rises_in_a_straight_line(step, capacity):
    """reconstruction + beta |KL - C(step)| (Burgess et al. 2018)."""
    model = small(beta=5.0, capacity=20.0, capacity_steps=100)
    loss, reconstruction, kl = step_of(model, step)
    assert loss == pytest.approx(reconstruction + 5 * abs(kl - capacity), rel=1e-6)
