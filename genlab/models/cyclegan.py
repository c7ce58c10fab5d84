"""CycleGAN: translation between two image domains without paired examples.

Generators a -> b and b -> a are each trained against a discriminator. Cycle consistency: translating to the other
domain and back must reproduce the input.

References:
- Zhu, Park, Isola, Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks,
  https://arxiv.org/abs/1703.10593
- Mao et al. 2017, Least Squares GANs, https://arxiv.org/abs/1611.04076
- Shrivastava et al. 2017, Learning from Simulated and Unsupervised Images through Adversarial Training,
  https://arxiv.org/abs/1612.07828 (the pool of earlier translations)
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.adversarial import discriminator_loss, generator_loss
from genlab.media.grids import same_channels
from genlab.metrics.sliced_wasserstein import sliced_wasserstein
from genlab.models.gan import accuracy
from genlab.networks.image_pool import ImagePool
from genlab.networks.layers import check_least, initialize
from genlab.networks.network import Network
from genlab.networks.patchgan import PatchDiscriminator


class CycleGAN(GenerativeModel):
    """G: a -> b, F: b -> a, with discriminators D_b and D_a. Images are in [-1, 1] internally.

    network: the generators are its translators.
    discriminator_width: output channels of the discriminators' first layer.
    discriminator_layers: layers with stride 2 in the discriminators, which determine the patch size; None chooses by
        the image size.
    cycle_weight: weight of the cycle terms relative to the adversarial ones (lambda in the paper).
    identity_weight: weight of the identity terms as a multiple of `cycle_weight`; 0 disables them.
    pool_size: earlier translations stored for each discriminator; 0 for none.
    """

    averaged = ("generators",)
    requires = frozenset({"a", "b"})
    # The cycle error cannot rank models: generators that change nothing have none.
    metrics = {
        "paired_error": "min",
        "paired_error/a": "min",
        "paired_error/b": "min",
        "sliced_wasserstein": "min",
    }

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        discriminator_width: int = 32,
        discriminator_layers: int | None = None,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
    ):
        super().__init__(data)
        check_least(0, cycle_weight=cycle_weight, identity_weight=identity_weight, pool_size=pool_size)
        check_least(1, discriminator_width=discriminator_width)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        a, b = data["a"].shape, data["b"].shape
        if identity_weight and a != b:
            raise ValueError(
                f"model.identity_weight={identity_weight}: needs a and b of one shape, and these are {list(a)} and "
                f"{list(b)}; set model.identity_weight=0"
            )
        self.generators = nn.ModuleDict({"a_to_b": network.translator(a, b), "b_to_a": network.translator(b, a)})
        self.discriminators = nn.ModuleDict(
            {d: PatchDiscriminator(data[d].shape, discriminator_width, discriminator_layers) for d in ("a", "b")}
        )
        self.pools: Any = nn.ModuleDict({domain: ImagePool(pool_size, data[domain].shape) for domain in ("a", "b")})
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                initialize(layer)  # Zhu et al. 2017, section 7.2

    def players(self) -> dict[str, nn.Module]:
        return {"generators": self.generators, "discriminators": self.discriminators}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        real = {"a": 2 * batch["a"] - 1, "b": 2 * batch["b"] - 1}
        fake, cycle, identity = self._translations(real)

        adversarial = {d: self._generator_loss(d, fake[d]) for d in real}
        # |F(G(a)) - a| + |G(F(b)) - b|
        cycle_loss = l1_loss(cycle["a"], real["a"]) + l1_loss(cycle["b"], real["b"])
        loss = adversarial["a"] + adversarial["b"] + self.cycle_weight * cycle_loss
        log = {f"generator_loss/{d}": value for d, value in adversarial.items()} | {"cycle": cycle_loss}
        if self.identity_weight:
            # |G(b) - b| + |F(a) - a|: images already in the target domain should not change
            identity_loss = l1_loss(identity["a"], real["a"]) + l1_loss(identity["b"], real["b"])
            loss = loss + self.cycle_weight * self.identity_weight * identity_loss
            log["identity"] = identity_loss
        yield Update("generators", loss, log)

        losses = {d: self._discriminator_loss(d, real[d], self.pools[d].query(fake[d], batch, step)) for d in real}
        log = {f"discriminator_loss/{d}": loss for d, (loss, _) in losses.items()}
        log |= {f"accuracy/{d}": correct for d, (_, correct) in losses.items()}
        yield Update("discriminators", losses["a"][0] + losses["b"][0], log)

    def _translations(self, real: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Translations, cycles and identities, each by its output domain."""
        to_b, to_a = self._to_b, self._to_a
        if not self.identity_weight:
            fake = {"a": to_a(real["b"]), "b": to_b(real["a"])}
            return fake, {"a": to_a(fake["b"]), "b": to_b(fake["a"])}, {}
        # No layer mixes examples, so one pass of a generator computes translation and identity.
        fake_b, identity_b = to_b(torch.cat([real["a"], real["b"]])).chunk(2)
        fake_a, identity_a = to_a(torch.cat([real["b"], real["a"]])).chunk(2)
        cycle = {"a": to_a(fake_b), "b": to_b(fake_a)}
        return {"a": fake_a, "b": fake_b}, cycle, {"a": identity_a, "b": identity_b}

    def _to_b(self, a: Tensor) -> Tensor:
        """G(a): both [N, C, H, W] in [-1, 1]."""
        return self.generators["a_to_b"](a).to(a.dtype).tanh()

    def _to_a(self, b: Tensor) -> Tensor:
        """F(b): both [N, C, H, W] in [-1, 1]."""
        return self.generators["b_to_a"](b).to(b.dtype).tanh()

    def _generator_loss(self, domain: str, fake: Tensor) -> Tensor:
        """(D(fake) - 1)^2: the paper halves the discriminators' loss but not the generators'."""
        return 2 * generator_loss("least-squares", self._logits(domain, fake))

    def _discriminator_loss(self, domain: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """((D(real) - 1)^2 + D(fake)^2) / 2, and the fraction of patches classified correctly."""
        on_real, on_fake = self._logits(domain, torch.cat([real, fake])).chunk(2)
        return discriminator_loss("least-squares", on_real, on_fake), accuracy("least-squares", on_real, on_fake)

    def _logits(self, domain: str, x: Tensor) -> Tensor:
        """Logits [N, 1, h, w] in the weights' precision, regardless of autocast."""
        discriminator = self.discriminators[domain]
        return discriminator(x).to(next(discriminator.parameters()).dtype)

    def translate(self, x: Tensor, to: str) -> Tensor:
        """Translate images of the other domain to domain `to` ("a" or "b"): both [N, C, H, W] in [0, 1]."""
        if to not in ("a", "b"):
            raise ValueError(f"to={to!r}: choose from a, b")
        generate = self._to_b if to == "b" else self._to_a
        return (generate(2 * x - 1) + 1) / 2

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Errors are mean absolute differences of pixels in [0, 1].

        cycle_error: between images and their cycles, mean of both directions.
        paired_error/a, paired_error/b: between the translation of a (or b) and its ground truth, if the batch holds
            it and a and b have one shape, relative to the error of the untranslated image: 1 is no better than no
            translation.
        sliced_wasserstein: distance in pixel space between translations and real images, mean of both directions.
        """
        scores, cycle_errors, distances = {}, [], []
        directions = batch.randn(max(batch[domain][0].numel() for domain in ("a", "b")))
        for domain, other in (("a", "b"), ("b", "a")):
            x, truth = batch[domain], f"{domain}_as_{other}"
            translation = self.translate(x, other)
            cycle_errors.append(l1_loss(self.translate(translation, domain), x))
            translated, wanted = translation.to(x.dtype).flatten(1), batch[other].flatten(1)
            distances.append(sliced_wasserstein(translated, wanted, directions[:, : wanted.shape[1]]))
            comparable = truth in batch and batch[truth].shape == x.shape
            if comparable and (untouched := l1_loss(x, batch[truth])) > 0:  # 0 if the domains are alike
                scores[f"paired_error/{domain}"] = l1_loss(translation, batch[truth]) / untouched
        if scores:
            scores = {"paired_error": torch.stack(list(scores.values())).mean(), **scores}
        scores["sliced_wasserstein"] = torch.stack(distances).mean()
        return {"cycle_error": torch.stack(cycle_errors).mean(), **scores}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Six rows of up to 8: images of a, their translations, their cycles, then the same for b."""
        batch, rows, names = batch.head(8), [], []
        for domain, other in (("a", "b"), ("b", "a")):
            translation = self.translate(batch[domain], other)
            rows += [batch[domain], translation, self.translate(translation, domain)]
            names += [domain, f"{domain} to {other}", f"back to {domain}"]
        return {"translations": Grid(torch.stack(same_channels(*rows)), rows=names)}
