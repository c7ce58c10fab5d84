"""Generative adversarial networks: a generator makes examples, a discriminator distinguishes them from real ones.

One class covers the classical variants: they differ in the loss, the penalties and what the discriminator reads.

References:
- Goodfellow et al. 2014, Generative Adversarial Nets, https://arxiv.org/abs/1406.2661
- Radford, Metz, Chintala 2016, Unsupervised Representation Learning with DCGANs, https://arxiv.org/abs/1511.06434
- Arjovsky, Chintala, Bottou 2017, Wasserstein GAN, https://arxiv.org/abs/1701.07875 (weight clipping)
- Lin, Khetan, Fanti, Oh 2018, PacGAN: The Power of Two Samples in GANs, https://arxiv.org/abs/1712.04086
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.adversarial import (
    BOUNDARY,
    RELATIVE,
    AdversarialLoss,
    accuracy,
    discriminator_loss,
    generator_loss,
)
from genlab.models.latents import compared_samples, grid_of_samples, standard_normal
from genlab.models.penalties import Penalties, PenaltyPoints, adaptive_share, refuse
from genlab.networks.coordinates import Coordinates
from genlab.networks.diff_augment import augmented, check_augmentations
from genlab.networks.energy import Energy
from genlab.networks.layers import Activation, check_least, fix_last_bias
from genlab.networks.network import Network

GeneratorNormalization = Literal["none", "batch", "conditional"]


class GAN(GenerativeModel):
    """x = (1 + tanh G(z)) / 2 with z ~ N(0, I), z: [N, latent_dim]; networks work in [-1, 1] or on standardized points.

    normalization: of the generator; conditional: by a scale and shift that depend on the class and on parts of z.
    network: the generator is its decoder, the discriminator its encoder, with loss=energy followed by its decoder.
    dropout: fraction of hidden features that the discriminator drops in training.
    r1_gamma, r2_gamma, r1_every, gradient_penalty, penalty_at, consistency, weight_clip: see `Penalties`.
    critic_steps: discriminator steps per generator step.
    pack: examples that the discriminator reads at once, as one with so many times the channels.
    augment: of the images that the discriminator reads; all of them or, with `augment_target`, a share that grows while
        the mean sign of its logits on real images is larger.
    """

    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    reads_examples: ClassVar[bool] = True  # the discriminator, and nothing else with them
    kinds = frozenset({"image", "points"})
    metrics = {"sliced_wasserstein": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 16,
        generator_activation: Activation = "relu",
        normalization: GeneratorNormalization = "batch",
        dropout: float = 0.0,
        spectral: bool = False,
        loss: AdversarialLoss = "non-saturating",
        critic_steps: int = 1,
        r1_gamma: float = 0.5,
        r2_gamma: float = 0.0,
        r1_every: int = 16,
        gradient_penalty: float = 0.0,
        penalty_at: PenaltyPoints = "between",
        consistency: float = 0.0,
        weight_clip: float = 0.0,
        pack: int = 1,
        augment: Sequence[str] = (),
        augment_target: float | None = None,
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim, critic_steps=critic_steps, pack=pack)
        one_logit = self.reads_examples and not self.num_conditions
        of_images = self.reads_examples and data["x"].kind == "image"
        refuse(not one_logit, pack=pack > 1 and pack, loss=loss == "energy" and loss)
        refuse(not self.reads_examples, penalty_at=penalty_at == "data" and penalty_at)
        refuse(not of_images, augment=list(augment), consistency=consistency)
        self.latent_dim, self.loss, self.critic_steps = latent_dim, loss, critic_steps
        self.penalties = Penalties(r1_gamma, r2_gamma, r1_every, gradient_penalty, penalty_at, consistency, weight_clip)
        self.pack, self.augment = pack, check_augmentations(augment)
        self.share = None if augment_target is None else adaptive_share(augment_target, self.augment, loss)
        self.signed, self.unit = Coordinates(data["x"], "signed"), Coordinates(data["x"], "unit")
        self.generator = self.make_generator(network, activation=generator_activation, normalization=normalization)
        style = {"activation": "leaky_relu", "dropout": dropout, "spectral": spectral}
        self.discriminator = self.make_discriminator(network, **style)
        self.discriminator_has_batch_norm = self.penalties.mixes_examples(self.discriminator, network.name)
        if loss in RELATIVE and not self.num_conditions and type(self).logits is GAN.logits:
            fix_last_bias(self.discriminator)

    @property
    def decision_boundary(self) -> float | None:
        """The `discriminator_score` between "real" and "generated", if there is one."""
        return BOUNDARY.get(self.loss)

    @property
    def num_conditions(self) -> int:
        """Number of classes to condition on: extra inputs of the generator, extra outputs of the discriminator."""
        return 0

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Shape of what the discriminator reads at once."""
        return self.pack * self.data.shape[0], *self.data.shape[1:]

    def make_generator(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps [N, latent_dim + num_conditions] to raw examples [N, *shape]."""
        style |= {"told": self.num_conditions} if network.conditional else {}
        return network.decoder(self.latent_dim + self.num_conditions, self.data.shape, **style)

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        """The network that maps `discriminator_input` to [N, 1 + num_conditions]."""
        if self.loss == "energy":
            return Energy(network, self.read_shape, self.latent_dim, **style)
        return network.encoder(self.read_shape, 1 + self.num_conditions, **style)

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def generate(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """G(z): noise [N, latent_dim] to examples [N, *shape], images in [-1, 1]."""
        return self.signed.squash(self.generator(z).to(z.dtype))

    def read(self, x: Tensor, condition: Condition | None = None, smooth: bool = False) -> Tensor:
        """The discriminator's outputs [N, 1 + num_conditions] for [N, *read_shape], images in [-1, 1]. smooth: without
        the compiled network, whose gradient cannot be differentiated again."""
        discriminator = self.discriminator.forward if smooth else self.discriminator
        return discriminator(self.discriminator_input(x, condition)).to(x.dtype)

    def discriminate(self, x: Tensor, condition: Condition | None = None, smooth: bool = False) -> Tensor:
        """D(x): logits [N] of what `read` takes, large for real examples."""
        return self.logits(self.read(x, condition, smooth), condition)

    def discriminator_input(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Input of the discriminator, from examples and their condition."""
        return x

    def logits(self, outputs: Tensor, condition: Condition | None) -> Tensor:
        """One logit [N] from the discriminator's outputs [N, 1 + num_conditions]."""
        return outputs[:, 0]

    def further(self, outputs: Tensor, z: Tensor, batch: Batch, real: bool) -> dict[str, Tensor]:
        """Losses, by name, of what the discriminator predicts besides, of real examples or of those made of z."""
        return {}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        updates_generator = (step + 1) % self.critic_steps == 0
        with torch.set_grad_enabled(updates_generator):
            real, fake, z = self.compared(batch, step)  # one batch of samples serves both updates
        yield self.discriminator_update(real.detach(), fake.detach(), z, batch)
        if step % self.penalties.r1_every == 0:
            discriminate = partial(self.discriminate, condition=self.condition(batch), smooth=True)
            if lazy := self.penalties.lazily(discriminate, real, fake):
                yield Update("discriminator", *lazy)
        self.penalties.clip(self.discriminator)
        if updates_generator:
            yield self.generator_update(real, fake, z, batch)

    def compared(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Real and generated examples as the discriminator reads them, and the latents of the latter."""
        z, real = self.latents(batch), self.real(batch)
        fake = self.generate(z, self.condition(batch))
        share = None if self.share is None else self.share.at(batch, step)
        real, fake = (self.packed(augmented(x, self.augment, batch, share)) for x in (real, fake))
        return real, fake, z

    def real(self, batch: Batch) -> Tensor:
        """The examples of a batch, in [-1, 1] or standardized."""
        return self.signed.inward(batch["x"])

    def packed(self, x: Tensor) -> Tensor:
        """[N, C, ...] to [N / pack, pack * C, ...]."""
        return x.reshape(-1, *self.read_shape) if self.pack > 1 else x

    def latents(self, batch: Batch) -> Tensor:
        """z for each row of a batch, [N, latent_dim]; `prior` draws the same from torch's global generator."""
        return batch.randn(self.latent_dim)

    def generator_update(self, real: Tensor, fake: Tensor, z: Tensor, batch: Batch) -> Update:
        """The generator's update, for the examples `fake` that it made of `z`."""
        condition = self.condition(batch)
        outputs = self.read(fake, condition)
        with torch.no_grad():
            beside = self.discriminate(real, condition) if self.loss == "relativistic" else None
        loss = generator_loss(self.loss, self.logits(outputs, condition), beside)
        further = self.further(outputs, z, batch, real=False)
        return Update("generator", sum(further.values(), loss), further)

    def discriminator_update(self, real: Tensor, fake: Tensor, z: Tensor, batch: Batch) -> Update:
        """The discriminator's update, for real examples and those made of `z`."""
        condition = self.condition(batch)
        if self.discriminator_has_batch_norm:
            outputs = [self.read(real, condition), self.read(fake, condition)]
        else:  # one pass is faster than two
            twice = condition and {name: torch.cat([value, value]) for name, value in condition.items()}
            outputs = list(self.read(torch.cat([real, fake]), twice).chunk(2))
        real_logit, fake_logit = (self.logits(found, condition) for found in outputs)
        if self.share is not None:
            self.share.count(real_logit)
        loss = discriminator_loss(self.loss, real_logit, fake_logit)
        log = {"real_logit": real_logit.mean(), "fake_logit": fake_logit.mean()}
        if self.loss in BOUNDARY:
            log["accuracy"] = accuracy(self.loss, real_logit, fake_logit)
        smooth = partial(self.discriminate, condition=condition, smooth=True)
        for name, (weight, value) in self.penalties.always(smooth, real, fake, real_logit, batch).items():
            loss, log[name] = loss + weight * value, value
        for found, is_real in zip(outputs, (True, False), strict=True):
            for name, value in self.further(found, z, batch, is_real).items():
                loss, log[f"{name}/{'real' if is_real else 'fake'}"] = loss + value, value
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
        """Examples [num_samples, *shape] of z that `prior` draws; truncation: largest magnitude of an entry of z."""
        return self.decode(self.prior(num_samples, truncation), condition)

    def discriminator_score(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The discriminator's logit [N] for examples [N, *shape]: larger means more like the data. One that reads packs
        is shown packs of copies."""
        return self.discriminate(self.signed.inward(x).repeat(1, self.pack, *[1] * (x.dim() - 2)), condition)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `compared_samples`; points are standardized."""
        samples = self.decode(self.latents(batch), self.condition(batch))
        return compared_samples(self.unit.inward(batch["x"]), self.unit.inward(samples), batch)

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        return {"samples": grid_of_samples(self, self.latents(batch), self.decode)}
