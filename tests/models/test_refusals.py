"""A model refuses a setting that it cannot work with by its key and value."""

import pytest

from genlab.contract.data import DataSpec, Field
from genlab.models.ae import AE
from genlab.models.beta_vae import BetaVAE
from genlab.models.cyclegan import CycleGAN
from genlab.models.gan import GAN
from genlab.models.vae import VAE
from genlab.networks.mlp import FullyConnected
from genlab.networks.resnet import ResNet

REFUSED = [
    *[(AE, "latent_dim", 0), (AE, "input_noise", -0.1)],
    *[(VAE, "latent_dim", 0), (VAE, "variance", 0.0)],
    *[(BetaVAE, "beta", -1.0), (BetaVAE, "capacity_steps", 0)],
    *[(GAN, "latent_dim", 0), (GAN, "critic_steps", 0), (GAN, "r1_every", 0), (GAN, "r1_gamma", -1.0)],
    *[(CycleGAN, "cycle_weight", -0.5), (CycleGAN, "identity_weight", -0.5)],
]


@pytest.mark.parametrize("model, key, value", REFUSED)
def test_is_refused_by_key_and_value(model, key, value):
    fields = ("a", "b") if model is CycleGAN else ("x",)
    data = DataSpec({name: Field("image", (3, 16, 16)) for name in fields})
    others = {"likelihood": "gaussian"} if key == "variance" else {}
    others["network"] = ResNet() if model is CycleGAN else FullyConnected()
    with pytest.raises(ValueError, match=rf"model\.{key}={value}: must be (at least|greater than)"):
        model(data, **{key: value}, **others)
