"""BiGAN: a GAN that also learns to encode, as the discriminator reads examples together with their latents.

It distinguishes (x, E(x)) from (G(z), z); where it cannot, the encoder E inverts the generator G.

References:
- Donahue, Krahenbuhl, Darrell 2017, Adversarial Feature Learning, https://arxiv.org/abs/1605.09782
- Dumoulin et al. 2017, Adversarially Learned Inference, https://arxiv.org/abs/1606.00704
"""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import Update
from genlab.losses.adversarial import discriminator_loss
from genlab.models.gan import GAN
from genlab.networks.mlp import MLP
from genlab.networks.network import Network


class JointDiscriminator(nn.Module):
    """Flat examples and latents side by side, [N, prod(shape) + latents], to logits [N, 1]: by one mlp, or by features
    of images beside the latents."""

    def __init__(self, network: Network, shape: tuple[int, ...], latents: int, **style: Any):
        super().__init__()
        self.shape, self.size, width = shape, prod(shape), 256
        self.features = network.encoder(shape, width, **style) if network.images_only else nn.Identity()
        joined = (width if network.images_only else self.size) + latents
        self.joint = MLP(joined, [width], 1, **style) if network.images_only else network.encoder((joined,), 1, **style)

    @property
    def head(self) -> nn.Module:
        """The last layer."""
        return self.joint.get_submodule("head")

    def forward(self, rows: Tensor) -> Tensor:
        x, z = rows.split([self.size, rows.shape[1] - self.size], 1)
        if not isinstance(self.features, nn.Identity):
            x = self.features(x.unflatten(1, self.shape))
        return self.joint(torch.cat([x, z], 1))


class BiGAN(GAN):
    """A `GAN` with an encoder E: [N, *shape] -> [N, latent_dim], another encoder of `network`. Takes those settings of
    `GAN` that do not change what its discriminator reads.
    """

    reads_examples = False
    averaged = ("generator", "encoder")

    def __init__(self, data: DataSpec, *, network: Network, **settings: Any):
        super().__init__(data, network=network, **settings)
        self.encoder = network.encoder(data.shape, self.latent_dim, activation="leaky_relu")

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        return JointDiscriminator(network, self.data.shape, self.latent_dim, **style)

    def players(self) -> dict[str, nn.Module]:
        both = nn.ModuleDict({"generator": self.generator, "encoder": self.encoder})
        return {"discriminator": self.discriminator, "generator": both}

    def compared(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        z, x = self.latents(batch), self.signed.inward(batch["x"])
        return _joined(x, self.encoder(x).to(x.dtype)), _joined(self.generate(z), z), z

    def generator_update(self, real: Tensor, fake: Tensor, z: Tensor, batch: Batch) -> Update:
        """That of the generator and the encoder, who want each kind of pair to pass for the other."""
        return Update("generator", discriminator_loss(self.loss, self.discriminate(fake), self.discriminate(real)))

    def encode(self, x: Tensor) -> Tensor:
        """E(x): examples [N, *shape] to latents [N, latent_dim]."""
        return self.encoder(self.signed.inward(x)).to(x.dtype)

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x)), [N, *shape]."""
        return self.decode(self.encode(x))

    def discriminator_score(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The logit [N] of examples [N, *shape] with their latents: larger means more like the data."""
        return self.discriminate(_joined(self.signed.inward(x), self.encode(x)))


def _joined(x: Tensor, z: Tensor) -> Tensor:
    return torch.cat([x.flatten(1), z], 1)
