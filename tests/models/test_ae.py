"""The autoencoder's loss by hand, and where the noise of denoising goes."""

import lab
import pytest
import torch

from genlab.contract.data import Batch, image_spec
from genlab.models.ae import AE
from genlab.networks.mlp import FullyConnected

DATA = image_spec((1, 8, 8))


def batch_of(n=5, seed=0):
    torch.manual_seed(seed)
    return Batch({"x": torch.rand(n, *DATA.shape)}, seed=3)


def loss_of(model, batch):
    (update,) = model.training_step(batch, 0)
    assert update.player == "model"
    return update.loss


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_loss_is_the_sum_over_pixels_and_the_mean_over_images(loss):
    model, batch = AE(DATA, latent_dim=2, network=FullyConnected([7]), loss=loss), batch_of()
    x, p = batch["x"], model.reconstruct(batch["x"])
    squares = (p - x).square()
    errors = squares if loss == "mse" else -(x * p.log() + (1 - x) * (1 - p).log())
    torch.testing.assert_close(loss_of(model, batch), errors.sum() / 5)
    torch.testing.assert_close(model.evaluate(batch)["mse"], squares.mean())


def test_noise_goes_to_the_input_alone():
    """The target of a denoising autoencoder is the clean image (Vincent et al. 2008)."""
    model, batch = AE(DATA, latent_dim=2, network=FullyConnected([7]), input_noise=0.5), batch_of(400)
    seen, x = lab.inputs_of(model.encoder), batch["x"]
    loss = loss_of(model, batch)
    noise = seen[0] - x
    assert noise.mean().abs() < 0.02 and noise.std() == pytest.approx(0.5, abs=0.02)
    output = model.decoder(model.encoder(seen[0])).sigmoid()
    torch.testing.assert_close(loss, (output - x).square().flatten(1).sum(1).mean())
    model.evaluate(batch)
    assert torch.equal(seen[-1], x), "validation sees no noise"
