"""Variational autoencoders: autoencoders with a normal prior over the latents, from which new images are sampled.

References:
- Kingma and Welling 2014, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
- Rezende, Mohamed, Wierstra 2014, Stochastic Backpropagation, https://arxiv.org/abs/1401.4082
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Update
from genlab.losses.divergence import kl_to_standard_normal
from genlab.losses.likelihood import LikelihoodName, make_likelihood
from genlab.media.grids import in_blocks
from genlab.models.latents import standard_normal
from genlab.networks.layers import Activation, check_least
from genlab.networks.network import Network

_TRAVERSED_LATENTS = 10
_TRAVERSED_VALUES = 9


class VAE(GenerativeModel):
    """p(z) = N(0, I), p(x | z) by the decoder, q(z | x) = N(mu, diag exp log_var) by the encoder; z: [N, latent_dim].

    likelihood: "bernoulli", "gaussian" (fixed `variance`) or "gaussian-learned" (starts at `variance`).
    """

    averaged = ("encoder", "decoder", "likelihood")
    metrics = {"elbo": "max", "reconstruction": "min", "kl": "min", "mse": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 20,
        activation: Activation = "relu",
        dropout: float = 0.0,
        likelihood: LikelihoodName = "bernoulli",
        variance: float = 0.01,
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim)
        self.latent_dim = latent_dim
        style: dict[str, Any] = {"activation": activation, "dropout": dropout}
        self.encoder = network.encoder(data.shape, 2 * latent_dim, **style)
        self.decoder = network.decoder(latent_dim, data.shape, **style)
        self.likelihood = make_likelihood(likelihood, variance)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log_var of q(z | x), each [N, latent_dim]."""
        return self.encoder(x).to(x.dtype).chunk(2, dim=1)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        _, reconstruction, kl = self.terms(batch)
        reconstruction, kl = reconstruction.mean(), kl.sum(1).mean()
        yield Update("model", reconstruction + self.weighted(kl, step), {"reconstruction": reconstruction, "kl": kl})

    def weighted(self, kl: Tensor, step: int) -> Tensor:
        """The KL term of the objective; in the ELBO it is unweighted."""
        return kl

    def terms(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """For one sample of z: decoder output, -log p(x | z) [N] and KL of each latent [N, latent_dim], in nats."""
        x = batch["image"]
        mu, log_var = self.posterior(x)
        # Reparameterization: gradients flow through mu and log_var.
        z = mu + (log_var / 2).exp() * batch.randn(self.latent_dim)
        output = self.decoder(z)
        return output, -self.likelihood.log_prob(output, x), kl_to_standard_normal(mu, log_var)

    def encode(self, x: Tensor) -> Tensor:
        """Means of q(z | x) [N, latent_dim] for images [N, C, H, W] in [0, 1]."""
        return self.posterior(x)[0]

    def prior(self, num_samples: int, truncation: float | None = None) -> Tensor:
        """z ~ p(z), [num_samples, latent_dim], by torch's global generator; see `standard_normal`."""
        return standard_normal(num_samples, self.latent_dim, self.decoder, truncation)

    def decode(self, z: Tensor) -> Tensor:
        """Expected images [N, C, H, W] in [0, 1] given z [N, latent_dim]."""
        return self.likelihood.mean(self.decoder(z))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images decoded from the posterior's mean, [N, C, H, W] in [0, 1]."""
        return self.decode(self.encode(x))

    def sample(self, num_samples: int, label: Tensor | None = None) -> Tensor:
        """Expected images [num_samples, C, H, W] in [0, 1] for z drawn from the prior by torch's global generator."""
        return self.decode(self.prior(num_samples))

    def log_weights(self, x: Tensor, num_samples: int) -> Tensor:
        """log p(x | z) + log p(z) - log q(z | x) in nats, [num_samples, N], z ~ q(z | x) by torch's global generator.

        The mean over samples estimates the ELBO (beta = 1) without bias; logsumexp - log num_samples estimates the
        importance-weighted bound (Burda, Grosse, Salakhutdinov 2016, https://arxiv.org/abs/1509.00519). All samples
        are decoded at once.
        """
        mu, log_var = self.posterior(x)
        noise = torch.randn(num_samples, *mu.shape, device=mu.device, dtype=mu.dtype)
        z = mu + (log_var / 2).exp() * noise
        # log p(z) - log q(z | x) = sum_d (((z_d - mu_d) / sigma_d)^2 + log sigma_d^2 - z_d^2) / 2
        prior_over_posterior = (noise.square() + log_var - z.square()).sum(2) / 2
        copies = x.expand(num_samples, *x.shape).flatten(0, 1)
        log_likelihood = self.likelihood.log_prob(self.decoder(z.flatten(0, 1)), copies)
        return log_likelihood.unflatten(0, (num_samples, -1)) + prior_over_posterior

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Convert bounds on log p(x) in nats, of any shape, to bits per image dimension: lower is better."""
        return self.likelihood.bits_per_dim(nats, math.prod(self.data.shape))

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """elbo (beta = 1, one sample of z), reconstruction and kl in nats; bits/dim; mse at the posterior mean."""
        x = batch["image"]
        _, reconstruction, kl = self.terms(batch)
        elbo = -(reconstruction + kl.sum(1)).mean()
        return {
            "elbo": elbo,
            "reconstruction": reconstruction.mean(),
            "kl": kl.sum(1).mean(),
            "bits_per_dim": self.bits_per_dim(elbo),
            "mse": (self.reconstruct(x).float() - x).square().mean(),
        }

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Samples, reconstructions below their images, and traversals: one latent per row, in order of KL."""
        side = max(1, int(batch.size**0.5))
        samples = self.decode(batch.randn(self.latent_dim)[: side * side]).unflatten(0, (side, side))
        reconstructions = in_blocks(batch["image"], self.reconstruct(batch["image"]))
        return {"samples": samples, "reconstructions": reconstructions, "traversals": self._traversals(batch["image"])}

    def _traversals(self, x: Tensor) -> Tensor:
        """Vary one latent dimension from -2 to 2 with the others fixed: [latents, values, C, H, W].

        They are fixed at the latents of the most typical image, whose latents are closest to the prior's mean.
        """
        mu, log_var = self.posterior(x)
        used = kl_to_standard_normal(mu, log_var).mean(0).argsort(descending=True)[:_TRAVERSED_LATENTS]
        z = mu[mu.square().sum(1).argmin()].repeat(len(used), _TRAVERSED_VALUES, 1)
        for row, latent in enumerate(used):
            z[row, :, latent] = torch.linspace(-2, 2, _TRAVERSED_VALUES, device=z.device)
        return self.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
