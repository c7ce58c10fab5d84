"""The autoencoder's loss by hand, and where the noise of denoising goes."""

import pytest
import torch
from torch import nn

from genlab.contract.data import Batch, DataSpec
from genlab.models.ae import AE

DATA = DataSpec((1, 8, 8))


def batch_of(n=5, seed=0):
    torch.manual_seed(seed)
    return Batch({"image": torch.rand(n, *DATA.shape)}, seed=3)


def loss_of(model, batch):
    (update,) = model.training_step(batch, 0)
    assert update.player == "model"
    return update.loss


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_loss_is_the_sum_over_pixels_and_the_mean_over_images(loss):
    model, batch = AE(DATA, latent_dim=2, hidden=[7], loss=loss), batch_of()
    x, p = batch["image"], model.reconstruct(batch["image"])
    squares = (p - x).square()
    errors = squares if loss == "mse" else -(x * p.log() + (1 - x) * (1 - p).log())
    torch.testing.assert_close(loss_of(model, batch), errors.sum() / 5)
    torch.testing.assert_close(model.evaluate(batch)["mse"], squares.mean())


class Watched(nn.Module):
    """Remembers what it is shown."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        self.seen = x
        return self.network(x)


def test_noise_goes_to_the_input_alone():
    """The target of a denoising autoencoder is the clean image (Vincent et al. 2008)."""
    model, batch = AE(DATA, latent_dim=2, hidden=[7], input_noise=0.5), batch_of(400)
    model.encoder = Watched(model.encoder)
    x = batch["image"]
    loss = loss_of(model, batch)
    noise = model.encoder.seen - x
    assert noise.mean().abs() < 0.02 and noise.std() == pytest.approx(0.5, abs=0.02)
    output = model.decoder(model.encoder.network(model.encoder.seen)).sigmoid()
    torch.testing.assert_close(loss, (output - x).square().flatten(1).sum(1).mean())
    model.evaluate(batch)
    assert torch.equal(model.encoder.seen, x), "validation sees no noise"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"latent_dim": 0}, r"model\.latent_dim=0"),
        ({"input_noise": -0.1}, r"model\.input_noise=-0\.1"),
        ({"network": "conv", "channels": 64, "max_channels": 32}, r"channels=64, max_channels=32"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        AE(DATA, **options)
