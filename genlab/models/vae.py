"""Variational autoencoders: autoencoders with a normal prior over the latents, from which new examples are sampled.

References:
- Kingma and Welling 2014, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
- Rezende, Mohamed, Wierstra 2014, Stochastic Backpropagation, https://arxiv.org/abs/1401.4082
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec, select
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.divergence import kl_to_standard_normal
from genlab.losses.likelihood import LikelihoodName, make_likelihood
from genlab.media.kinds import shown_kind
from genlab.models.latents import grid_of_samples, standard_normal
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import Activation, check_least
from genlab.networks.network import Network
from genlab.system.portions import rows_at_once

_TRAVERSED_LATENTS = 10
_TRAVERSED_VALUES = 9
_USED = 0.02  # nats of KL above which a latent is said to be used


class VAE(GenerativeModel):
    """p(z) = N(0, I), p(x | z) by the decoder, q(z | x) = N(mu, diag exp log_var) by the encoder; z: [N, latent_dim].

    likelihood: "bernoulli" (images only), "gaussian" (fixed `variance`) or "gaussian-learned" (starts at `variance`).
    """

    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "likelihood")
    kinds = frozenset({"image", "points"})
    # The KL is not among them: a small one may be a good fit or a collapse.
    metrics = {"elbo": "max", "reconstruction": "min", "bits_per_dim": "min", "mse": "min"}

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
        self.encoder = self.make_encoder(network, **style)
        self.decoder = self.make_decoder(network, **style)
        self.unit = Coordinates(data["x"], "unit")
        if likelihood == "bernoulli" and not self.unit.bounds:
            raise ValueError(
                "model.likelihood=bernoulli: needs values between 0 and 1, as of images; choose "
                "model.likelihood=gaussian-learned"
            )
        self.likelihood = make_likelihood(likelihood, variance, self.unit.squash, shown_kind(data).levels)

    def make_encoder(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps x to mu and log_var of q(z | x), [N, 2 * latent_dim]."""
        return network.encoder(self.data.shape, 2 * self.latent_dim, **style)

    def make_decoder(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps z to the parameters of p(x | z), [N, *shape]."""
        return network.decoder(self.latent_dim, self.data.shape, **style)

    def posterior(self, x: Tensor, condition: Condition | None = None) -> tuple[Tensor, Tensor]:
        """mu and log_var of q(z | x), each [N, latent_dim]."""
        return self.encoder(self.unit.inward(x)).to(x.dtype).chunk(2, dim=1)

    def output(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The decoder's raw outputs [N, *shape], parameters of p(x | z)."""
        return self.decoder(z)

    def log_likelihood(self, output: Tensor, x: Tensor) -> Tensor:
        """log p(x | z) [N] in nats, from the decoder's outputs and examples, [N, *shape] each."""
        return self.likelihood.log_prob(output, self.unit.inward(x)) - self.unit.log_scale

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        _, reconstruction, kl = self.terms(batch)
        reconstruction, kl = reconstruction.mean(), kl.sum(1).mean()
        yield Update("model", reconstruction + self.weighted(kl, step), {"reconstruction": reconstruction, "kl": kl})

    def weighted(self, kl: Tensor, step: int) -> Tensor:
        """The KL term of the objective; in the ELBO it is unweighted."""
        return kl

    def terms(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """For one sample of z: decoder output, -log p(x | z) [N] and KL of each latent [N, latent_dim], in nats."""
        x, condition = batch["x"], self.condition(batch)
        mu, log_var = self.posterior(x, condition)
        # Reparameterization: gradients flow through mu and log_var.
        z = mu + (log_var / 2).exp() * batch.randn(self.latent_dim)
        output = self.output(z, condition)
        return output, -self.log_likelihood(output, x), kl_to_standard_normal(mu, log_var)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Means of q(z | x) [N, latent_dim] for examples [N, *shape]."""
        return self.posterior(x, condition)[0]

    def prior(self, num_samples: int, truncation: float | None = None) -> Tensor:
        """z ~ p(z), [num_samples, latent_dim], by torch's global generator; see `standard_normal`."""
        return standard_normal(num_samples, self.latent_dim, self.decoder, truncation)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Expected examples [N, *shape] given z [N, latent_dim]."""
        return self.unit.outward(self.likelihood.mean(self.output(z, condition)))

    def reconstruct(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Examples decoded from the posterior's mean, [N, *shape]."""
        return self.decode(self.encode(x, condition), condition)

    def sample(
        self, num_samples: int, condition: Condition | None = None, *, truncation: float | None = None
    ) -> Tensor:
        """Expected examples [num_samples, *shape] for z drawn from the prior by torch's global generator.

        truncation: largest magnitude of an entry of z, see `standard_normal`; None for no bound.
        """
        return self.decode(self.prior(num_samples, truncation), condition)

    def log_weights(self, x: Tensor, num_samples: int, condition: Condition | None = None) -> Tensor:
        """log p(x | z) + log p(z) - log q(z | x) in nats, [num_samples, N], z ~ q(z | x) by torch's global generator.

        The mean over samples estimates the ELBO (beta = 1) without bias; logsumexp - log num_samples estimates the
        importance-weighted bound (Burda, Grosse, Salakhutdinov 2016, https://arxiv.org/abs/1509.00519). All samples
        are decoded at once.
        """
        mu, log_var = self.posterior(x, condition)
        noise = torch.randn(num_samples, *mu.shape, device=mu.device, dtype=mu.dtype)
        z = mu + (log_var / 2).exp() * noise
        # log p(z) - log q(z | x) = sum_d (((z_d - mu_d) / sigma_d)^2 + log sigma_d^2 - z_d^2) / 2
        prior_over_posterior = (noise.square() + log_var - z.square()).sum(2) / 2
        copies = torch.arange(len(x), device=x.device).repeat(num_samples)
        output = self.output(z.flatten(0, 1), select(condition, copies))
        log_likelihood = self.log_likelihood(output, x[copies])
        return log_likelihood.unflatten(0, (num_samples, -1)) + prior_over_posterior

    def statistics(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """[N, 4] of examples [N, *shape]: norms of the reconstruction's error, of the posterior's means and of its
        deviations, and minus the ELBO with z at the mean, in nats (Huang, He, Lui 2024, Rethinking Test-time
        Likelihood: The Likelihood Path Principle and Its Application to OOD Detection,
        https://arxiv.org/abs/2401.04933)."""
        mu, log_var = self.posterior(x, condition)
        output = self.output(mu, condition)
        error = (x - self.unit.outward(self.likelihood.mean(output))).flatten(1).norm(dim=1)
        bound = kl_to_standard_normal(mu, log_var).sum(1) - self.log_likelihood(output, x)
        return torch.stack([error, mu.norm(dim=1), (log_var / 2).exp().norm(dim=1), bound], 1)

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Convert bounds on log p(x) in nats, of any shape, to bits per dimension: lower is better."""
        return self.likelihood.bits_per_dim(nats, math.prod(self.data.shape))

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """elbo (beta = 1, one sample of z), reconstruction and kl in nats; bits/dim of images; mse at the mean of z."""
        x = batch["x"]
        _, reconstruction, kl = self.terms(batch)
        elbo = -(reconstruction + kl.sum(1)).mean()
        bits = {"bits_per_dim": self.bits_per_dim(elbo)} if shown_kind(self.data).levels else {}
        return {
            "elbo": elbo,
            "reconstruction": reconstruction.mean(),
            "kl": kl.sum(1).mean(),
            **bits,
            "mse": (self.reconstruct(x, self.condition(batch)).float() - x).square().mean(),
        }

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Samples, examples above their reconstructions, and traversals: one latent per row, in order of KL."""
        x, condition = batch["x"], self.condition(batch)
        return {
            "samples": self.preview_samples(batch),
            "reconstructions": shown_kind(self.data).beside(x, self.reconstruct(x, condition)),
            "traversals": self._traversals(x, condition),
        }

    def preview_samples(self, batch: Batch) -> Grid:
        """See `grid_of_samples`."""
        return grid_of_samples(self, batch.randn(self.latent_dim), self.decode)

    def _traversals(self, x: Tensor, condition: Condition | None) -> Grid:
        """Vary one latent dimension from -2 to 2 with the others fixed, those that do nothing left out: a row for each
        latent, a column for each value.

        They are fixed at the latents of the most typical example, whose latents are closest to the prior's mean.
        """
        mu, log_var = self.posterior(x, condition)
        rows = max(1, rows_at_once(self.data.shape, most=_TRAVERSED_LATENTS * _TRAVERSED_VALUES) // _TRAVERSED_VALUES)
        kl, used = kl_to_standard_normal(mu, log_var).mean(0).sort(descending=True)
        used = used[: min(rows, max(1, int((kl > _USED).sum())))]
        values = torch.linspace(-2, 2, _TRAVERSED_VALUES, device=mu.device)
        typical = mu.square().sum(1).argmin()
        z = mu[typical].repeat(len(used), _TRAVERSED_VALUES, 1)
        for row, latent in enumerate(used):
            z[row, :, latent] = values
        fixed = select(condition, typical.expand(len(used) * _TRAVERSED_VALUES))
        return Grid(
            self.decode(z.flatten(0, 1), fixed).unflatten(0, z.shape[:2]),
            rows=[f"latent {latent}\nKL {nats:.2f}" for latent, nats in zip(used.tolist(), kl.tolist(), strict=False)],
            columns=[f"{value:g}" for value in values.tolist()],
        )
