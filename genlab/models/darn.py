"""Deep autoregressive networks: binary latents h with an autoregressive prior, and an autoregressive decoder of images.

The likelihood is bounded by log p(x) >= E_q[log p(x | h) + log p(h) - log q(h | x)], as of a VAE; figures of it are
bounds. Gradients pass the binary samples as if these were their probabilities (Bengio, Leonard, Courville 2013,
Estimating or Propagating Gradients Through Stochastic Neurons, https://arxiv.org/abs/1308.3432): biased, but of low
variance.

Reference: Gregor, Danihelka, Mnih, Blundell, Wierstra 2014, Deep AutoRegressive Networks,
https://arxiv.org/abs/1310.8499
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.discrete import Binary
from genlab.media.kinds import levels_of
from genlab.models.autoregressive import fill_in
from genlab.models.latents import grid_of_samples
from genlab.networks.layers import check_least
from genlab.networks.masked_mlp import Masked
from genlab.networks.mlp import MLPEncoder
from genlab.networks.network import Network


class DARN(GenerativeModel):
    """p(h) and p(x | h) go from entry to entry, q(h | x) = prod_k Bernoulli; binary images x [N, C, H, W], latents h
    [N, latent_dim] of 0 and 1.

    network: of p(x | h). encoder_hidden: widths of the hidden layers of q. prior_hidden: of p(h); none for a fully
    visible sigmoid belief network.
    """

    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "latents")
    metrics = {"elbo": "max"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 500,
        encoder_hidden: Sequence[int] = (),
        prior_hidden: Sequence[int] = (),
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim)
        if levels_of(data["x"]) != 2:
            raise ValueError("dataset.binarize=none: DARN models images of two values; choose dataset.binarize=dynamic")
        self.latent_dim, self.size = latent_dim, math.prod(data.shape)
        self.likelihood = Binary()
        self.encoder = MLPEncoder(data.shape, latent_dim, encoder_hidden)
        self.decoder = network.autoregressive(data.shape, 1, latent_dim)
        self.latents = Masked(hidden=prior_hidden, direct=False).autoregressive((latent_dim,), 1)
        if self.decoder.orderings > 1:
            raise ValueError(f"network.orderings={self.decoder.orderings}: DARN has one order of pixels; choose 1")

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        reconstruction, kl = (term.mean() for term in self.terms(batch))
        yield Update("model", reconstruction + kl, {"reconstruction": reconstruction, "kl": kl})

    def terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """For one sample of h, in nats, [N] each: -log p(x | h); and log q(h | x), its mean over h, less log p(h)."""
        logits = self.posterior(batch["x"])
        probability = logits.sigmoid()
        h = (batch.rand(self.latent_dim) < probability).to(logits)
        h = h + probability - probability.detach()
        entropy = softplus(logits) - probability * logits
        return -self.log_likelihood(batch["x"], h), -self.log_prior(h) - entropy.sum(1)

    def posterior(self, x: Tensor) -> Tensor:
        """Logits [N, latent_dim] of q(h | x)."""
        return self.encoder(2 * x - 1).to(x.dtype)

    def log_prior(self, h: Tensor) -> Tensor:
        """log p(h) [N] in nats."""
        return self.likelihood.log_prob(self.latents(2 * h - 1), h).sum(1)

    def log_likelihood(self, x: Tensor, h: Tensor) -> Tensor:
        """log p(x | h) [N] in nats."""
        return self.likelihood.log_prob(self.decoder(2 * x - 1, 2 * h - 1), x).flatten(1).sum(1)

    def log_weights(self, x: Tensor, num_samples: int) -> Tensor:
        """log p(x | h) + log p(h) - log q(h | x) in nats, [num_samples, N], h ~ q(h | x) by torch's global generator;
        as of a VAE."""
        logits = self.posterior(x).repeat(num_samples, 1)
        h = (torch.rand_like(logits) < logits.sigmoid()).to(logits)
        log_q = self.likelihood.log_prob(logits[:, None], h).sum(1)
        found = self.log_likelihood(x.repeat(num_samples, 1, 1, 1), h) + self.log_prior(h) - log_q
        return found.unflatten(0, (num_samples, -1))

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """-nats / (D log 2)."""
        return -nats / (self.size * math.log(2))

    def encode(self, x: Tensor) -> Tensor:
        """Probabilities [N, latent_dim] of the latents given images."""
        return self.posterior(x).sigmoid()

    def sample(self, num_samples: int) -> Tensor:
        """Images [num_samples, C, H, W]; latents, then pixels are drawn one after another by torch's global
        generator."""
        like = next(self.decoder.parameters())
        noise = torch.rand(num_samples, self.latent_dim + self.size, 2, device=like.device, dtype=like.dtype)
        return self.drawn(noise)

    def drawn(self, noise: Tensor) -> Tensor:
        """Images [N, C, H, W] from uniform noise [N, latent_dim + D, 2]."""
        h = fill_in(self.latents, self.likelihood, noise[:, : self.latent_dim])
        return fill_in(self.decoder, self.likelihood, noise[:, self.latent_dim :], 2 * h - 1)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """elbo, reconstruction and kl in nats, for one sample of h; bits_per_dim of the elbo."""
        reconstruction, kl = (term.mean() for term in self.terms(batch))
        elbo = -(reconstruction + kl)
        return {"elbo": elbo, "reconstruction": reconstruction, "kl": kl, "bits_per_dim": self.bits_per_dim(elbo)}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """samples: a square grid."""
        return {"samples": grid_of_samples(self, batch.rand(self.latent_dim + self.size, 2), self.drawn)}
