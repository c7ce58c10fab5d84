"""Conditional variational autoencoder: encoder and decoder are conditioned on the class label.

It maximizes a lower bound on log p(x | y): the label is given, and the latents hold what it does not say.

References:
- Sohn, Lee, Yan 2015, Learning Structured Output Representation using Deep Conditional Generative Models,
  https://proceedings.neurips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html
- Kingma, Rezende, Mohamed, Welling 2014, Semi-supervised Learning with Deep Generative Models,
  https://arxiv.org/abs/1406.5298 (the prior of z does not depend on y)
"""

from typing import Any

import torch
from torch import Tensor, nn

from genlab.contract.data import Condition, DataSpec
from genlab.models.vae import VAE
from genlab.networks.condition import ConditionFeatures, WithCondition
from genlab.networks.layers import check_least
from genlab.networks.network import Network


class CVAE(VAE):
    """p(z) = N(0, I), p(x | z, y) by the decoder, q(z | x, y) by the encoder; y in 0 .. num_classes - 1.

    beta: weight of the KL term; above 1, latents of the prior are more like those of examples, so that more samples
        show their class, and the bound is lower.
    Also takes the settings of `VAE`.
    """

    averaged = (*VAE.averaged, "seen")
    requires = frozenset({"x", "label"})
    conditions = ("label",)

    def __init__(self, data: DataSpec, *, beta: float = 1.0, **settings: Any):
        super().__init__(data, **settings)
        check_least(0, beta=beta)
        self.beta = beta

    def weighted(self, kl: Tensor, step: int) -> Tensor:
        """beta KL."""
        return self.beta * kl

    def make_encoder(self, network: Network, **style: Any) -> nn.Module:
        self.features = ConditionFeatures(self.data, self.conditions)
        self.seen = WithCondition(self.data.shape, self.features.size)
        return network.encoder(self.seen.shape, 2 * self.latent_dim, **style)

    def make_decoder(self, network: Network, **style: Any) -> nn.Module:
        return network.decoder(self.latent_dim + self.features.size, self.data.shape, **style)

    def posterior(self, x: Tensor, condition: Condition | None = None) -> tuple[Tensor, Tensor]:
        """mu and log_var of q(z | x, y), each [N, latent_dim]. `ValueError` without labels."""
        seen = self.seen(self.unit.inward(x), self.features(self.needed(condition)))
        return self.encoder(seen).to(x.dtype).chunk(2, dim=1)

    def output(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The decoder's raw outputs [N, *shape], parameters of p(x | z, y). `ValueError` without labels."""
        return self.decoder(torch.cat([z, self.features(self.needed(condition)).to(z.dtype)], dim=1))

    def log_weights(self, x: Tensor, num_samples: int, condition: Condition | None = None) -> Tensor:
        """log p(x | z, y) + log p(z) - log q(z | x, y) in nats, [num_samples, N]; see `VAE.log_weights`.

        Without labels, a label is drawn for each weight from the uniform distribution: the weights then estimate
        log p(x) = log mean_y p(x | y).
        """
        if condition is not None:
            return super().log_weights(x, num_samples, condition)
        labels = torch.randint(self.data.num_classes, (num_samples, len(x)), device=x.device)
        return torch.cat([super(CVAE, self).log_weights(x, 1, {"label": label}) for label in labels])
