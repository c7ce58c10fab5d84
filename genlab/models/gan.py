"""Generative adversarial networks: a generator makes examples, a discriminator distinguishes them from real ones.

One class covers the classical variants. They differ in the loss, in the regularization of the discriminator's gradient
and in how often the generator is updated: non-saturating with R1 (the default), hinge with spectral normalization,
least squares, Wasserstein with gradient penalty.

References:
- Goodfellow et al. 2014, Generative Adversarial Nets, https://arxiv.org/abs/1406.2661
- Radford, Metz, Chintala 2016, Unsupervised Representation Learning with DCGANs, https://arxiv.org/abs/1511.06434
- Gulrajani et al. 2017, Improved Training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
- Mescheder, Geiger, Nowozin 2018, Which Training Methods for GANs do actually Converge?,
  https://arxiv.org/abs/1801.04406
- Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, https://arxiv.org/abs/1802.05957
- Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, https://arxiv.org/abs/1912.04958 (lazy R1)
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.adversarial import AdversarialLoss, discriminator_loss, generator_loss, r1_penalty
from genlab.losses.adversarial import gradient_penalty as penalty_between
from genlab.metrics.sliced_wasserstein import sliced_wasserstein
from genlab.models.latents import grid_of_samples, standard_normal
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import Activation, Normalization, check_least
from genlab.networks.network import Network

BOUNDARY: dict[str, float] = {"non-saturating": 0.0, "hinge": 0.0, "least-squares": 0.5}
"""The decision threshold between "real" and "generated" logits. A Wasserstein critic has none: only differences of its
outputs have a meaning."""


def accuracy(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """Fraction of logits on the correct side of `BOUNDARY`, mean of real and generated images; 1/2 is chance."""
    on_real, on_fake = real > BOUNDARY[loss], fake <= BOUNDARY[loss]
    return (on_real.to(real.dtype).mean() + on_fake.to(real.dtype).mean()) / 2


class GAN(GenerativeModel):
    """x = (1 + tanh G(z)) / 2 with z ~ N(0, I), z: [N, latent_dim]; the networks work in [-1, 1].

    Points are standardized for the networks, and x = G(z) there.
    network: the generator is its decoder, the discriminator its encoder.
    dropout: fraction of hidden features that the discriminator drops in training.
    r1_gamma: weight of E |grad D(x)|^2 / 2 on real data; applied every `r1_every` steps, `r1_every` times as strong.
    gradient_penalty: weight of E (|grad D(u)| - 1)^2 at points between data and samples, at every step.
    critic_steps: discriminator steps per generator step.
    """

    averaged = ("generator",)
    kinds = frozenset({"image", "points"})
    metrics = {"sliced_wasserstein": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 16,
        generator_activation: Activation = "relu",
        normalization: Normalization = "batch",
        dropout: float = 0.0,
        spectral: bool = False,
        loss: AdversarialLoss = "non-saturating",
        critic_steps: int = 1,
        r1_gamma: float = 0.5,
        r1_every: int = 16,
        gradient_penalty: float = 0.0,
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim, critic_steps=critic_steps, r1_every=r1_every)
        check_least(0, r1_gamma=r1_gamma, gradient_penalty=gradient_penalty)
        self.latent_dim, self.loss, self.critic_steps = latent_dim, loss, critic_steps
        self.r1_gamma, self.r1_every, self.gradient_penalty = r1_gamma, r1_every, gradient_penalty
        self.signed, self.unit = Coordinates(data["x"], "signed"), Coordinates(data["x"], "unit")
        self.generator = self.make_generator(network, activation=generator_activation, normalization=normalization)
        self.discriminator = self.make_discriminator(
            network, activation="leaky_relu", dropout=dropout, spectral=spectral
        )
        self.discriminator_has_batch_norm = any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules())
        if self.discriminator_has_batch_norm and (r1_gamma or gradient_penalty):
            raise ValueError(
                f"model.r1_gamma={r1_gamma}, model.gradient_penalty={gradient_penalty}: these penalties need a "
                f"discriminator that scores every image separately, and that of network={network.name} normalizes "
                "batches; set model.r1_gamma=0 model.gradient_penalty=0, or choose network=conv"
            )

    @property
    def decision_boundary(self) -> float | None:
        """The `discriminator_score` between "real" and "generated"; None of a critic."""
        return BOUNDARY.get(self.loss)

    @property
    def num_conditions(self) -> int:
        """Number of classes to condition on: extra inputs of the generator, extra outputs of the discriminator."""
        return 0

    def make_generator(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps [N, latent_dim + num_conditions] to raw examples [N, *shape]."""
        return network.decoder(self.latent_dim + self.num_conditions, self.data.shape, **style)

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps `discriminator_input` to [N, 1 + num_conditions]."""
        return network.encoder(self.data.shape, 1 + self.num_conditions, **style)

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def generate(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """G(z): noise [N, latent_dim] to examples [N, *shape], images in [-1, 1]."""
        return self.signed.squash(self.generator(z).to(z.dtype))

    def discriminate(self, x: Tensor, condition: Condition | None = None, smooth: bool = False) -> Tensor:
        """D(x): examples [N, *shape], images in [-1, 1], to logits [N], large for real ones.

        smooth: the gradient will be differentiated again, which a compiled network does not support; `forward` is the
        uncompiled one.
        """
        discriminator = self.discriminator.forward if smooth else self.discriminator
        return self.logits(discriminator(self.discriminator_input(x, condition)).to(x.dtype), condition)

    def discriminator_input(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Input of the discriminator, from examples [N, *shape] and their condition."""
        return x

    def logits(self, outputs: Tensor, condition: Condition | None) -> Tensor:
        """One logit [N] from the discriminator's outputs [N, 1 + num_conditions]."""
        return outputs.squeeze(1)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        condition, real = self.condition(batch), self.signed.inward(batch["x"])
        updates_generator = (step + 1) % self.critic_steps == 0
        with torch.set_grad_enabled(updates_generator):
            z = self.latents(batch)
            fake = self.generate(z, condition)  # one batch of samples serves both updates

        yield self.discriminator_update(real, fake.detach(), z, condition, batch)
        if self.r1_gamma > 0 and step % self.r1_every == 0:
            penalty = r1_penalty(lambda x: self.discriminate(x, condition, smooth=True), real)
            yield Update("discriminator", self.r1_gamma * self.r1_every * penalty, {"r1_penalty": penalty})
        if updates_generator:
            yield self.generator_update(fake, z, condition)

    def latents(self, batch: Batch) -> Tensor:
        """z for each row of a batch, [N, latent_dim]; `prior` draws the same from torch's global generator."""
        return batch.randn(self.latent_dim)

    def generator_update(self, fake: Tensor, z: Tensor, condition: Condition | None) -> Update:
        """The generator's update, for the examples `fake` that it made of `z`; a model may add terms to its loss."""
        return Update("generator", generator_loss(self.loss, self.discriminate(fake, condition)))

    def discriminator_update(
        self, real: Tensor, fake: Tensor, z: Tensor, condition: Condition | None, batch: Batch
    ) -> Update:
        """The discriminator's update, for real examples and those made of `z`; a model may add terms to its loss."""
        if self.discriminator_has_batch_norm:
            real_logit, fake_logit = self.discriminate(real, condition), self.discriminate(fake, condition)
        else:  # one pass is faster than two
            twice = condition and {name: torch.cat([value, value]) for name, value in condition.items()}
            real_logit, fake_logit = self.discriminate(torch.cat([real, fake]), twice).chunk(2)
        loss = discriminator_loss(self.loss, real_logit, fake_logit)
        log = {"real_logit": real_logit.mean(), "fake_logit": fake_logit.mean()}
        if self.loss in BOUNDARY:
            log["accuracy"] = accuracy(self.loss, real_logit, fake_logit)
        if self.gradient_penalty:
            log["gradient_penalty"] = penalty_between(
                lambda x: self.discriminate(x, condition, smooth=True), real, fake, batch.rand()
            )
            loss = loss + self.gradient_penalty * log["gradient_penalty"]
        return Update("discriminator", loss, log)

    def prior(self, num_samples: int, truncation: float | None = None) -> Tensor:
        """z ~ N(0, I), [num_samples, latent_dim], by torch's global generator; see `standard_normal`."""
        return standard_normal(num_samples, self.latent_dim, self.generator, truncation)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Examples [N, *shape] from noise [N, latent_dim]."""
        return self.signed.outward(self.generate(z, condition))

    def sample(
        self, num_samples: int, condition: Condition | None = None, *, truncation: float | None = None
    ) -> Tensor:
        """Examples [num_samples, *shape], z drawn by torch's global generator.

        truncation: largest magnitude of an entry of z, see `standard_normal`; None for no bound.
        """
        return self.decode(self.prior(num_samples, truncation), condition)

    def discriminator_score(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The discriminator's logit [N] for examples [N, *shape]: larger means more like the data."""
        return self.discriminate(self.signed.inward(x), condition)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """sliced_wasserstein: distance between the batch and as many samples, over random projections of data space,
            where points are standardized;
        diversity: mean pairwise distance of samples divided by that of examples, near 0 if the generator has collapsed;
            left out if there is a single example, or all are equal.
        """
        x = self.unit.inward(batch["x"]).flatten(1)
        samples = self.unit.inward(self.decode(self.latents(batch), self.condition(batch))).flatten(1)
        metrics = {"sliced_wasserstein": sliced_wasserstein(samples, x, directions=batch.randn(x.shape[1]))}
        if (expected := _mean_pairwise_distance(x)) > 0:
            metrics["diversity"] = _mean_pairwise_distance(samples) / expected
        return metrics

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """See `grid_of_samples`."""
        return {"samples": grid_of_samples(self, self.latents(batch), self.decode)}


def _mean_pairwise_distance(points: Tensor) -> Tensor:
    """Mean distance over all pairs of rows of [N, D], including each row with itself."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").mean()
