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

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import Update
from genlab.models.unpaired import UnpairedTranslator, discriminator_loss_of_patches, generator_loss_of_patches
from genlab.networks.diff_augment import augmented, check_augmentations
from genlab.networks.image_pool import ImagePool
from genlab.networks.layers import check_least, initialize_all
from genlab.networks.network import Network
from genlab.networks.patchgan import PatchDiscriminator


class CycleGAN(UnpairedTranslator):
    """G: a -> b, F: b -> a, with discriminators D_b and D_a. Images are in [-1, 1] internally.

    network: the generators are its translators.
    discriminator_width: output channels of the discriminators' first layer.
    discriminator_layers: layers with stride 2 in the discriminators, which determine the patch size; None chooses by
        the image size.
    cycle_weight: weight of the cycle terms relative to the adversarial ones (lambda in the paper).
    identity_weight: weight of the identity terms as a multiple of `cycle_weight`; 0 disables them.
    identity_steps: steps after which these are left out, as they take a third of the time and mostly decide early on
        what becomes light and what dark; None for never.
    pool_size: earlier translations stored for each discriminator; 0 for none.
    augment: differentiable augmentations of what the discriminators read, see `genlab.networks.diff_augment`.
    """

    averaged = ("generators",)

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        discriminator_width: int = 32,
        discriminator_layers: int | None = None,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        identity_steps: int | None = None,
        pool_size: int = 50,
        augment: Sequence[str] = (),
    ):
        super().__init__(data)
        self.augment = check_augmentations(augment)
        check_least(0, cycle_weight=cycle_weight, identity_weight=identity_weight, pool_size=pool_size)
        check_least(1, discriminator_width=discriminator_width)
        if identity_steps is not None:
            check_least(1, identity_steps=identity_steps)
        self.cycle_weight, self.identity_weight, self.identity_steps = cycle_weight, identity_weight, identity_steps
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
        initialize_all(self)  # Zhu et al. 2017, section 7.2

    def players(self) -> dict[str, nn.Module]:
        return {"generators": self.generators, "discriminators": self.discriminators}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        real = {"a": 2 * batch["a"] - 1, "b": 2 * batch["b"] - 1}
        with_identity = self.identity_weight > 0 and (self.identity_steps is None or step < self.identity_steps)
        fake, cycle, identity = self._translations(real, with_identity)

        seen = {d: augmented(fake[d], self.augment, batch) for d in real}
        adversarial = {d: generator_loss_of_patches(self.discriminators[d], seen[d]) for d in real}
        # |F(G(a)) - a| + |G(F(b)) - b|
        cycle_loss = l1_loss(cycle["a"], real["a"]) + l1_loss(cycle["b"], real["b"])
        loss = adversarial["a"] + adversarial["b"] + self.cycle_weight * cycle_loss
        log = {f"generator_loss/{d}": value for d, value in adversarial.items()} | {"cycle": cycle_loss}
        if with_identity:
            # |G(b) - b| + |F(a) - a|: images already in the target domain should not change
            identity_loss = l1_loss(identity["a"], real["a"]) + l1_loss(identity["b"], real["b"])
            loss = loss + self.cycle_weight * self.identity_weight * identity_loss
            log["identity"] = identity_loss
        yield Update("generators", loss, log)

        earlier = {d: self.pools[d].query(fake[d], batch, step) for d in real}
        pairs = {d: (augmented(x, self.augment, batch) for x in (real[d], earlier[d])) for d in real}
        losses = {d: discriminator_loss_of_patches(self.discriminators[d], *pair) for d, pair in pairs.items()}
        log = {f"discriminator_loss/{d}": loss for d, (loss, _) in losses.items()}
        log |= {f"accuracy/{d}": correct for d, (_, correct) in losses.items()}
        yield Update("discriminators", losses["a"][0] + losses["b"][0], log)

    def _translations(
        self, real: dict[str, Tensor], with_identity: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Translations, cycles and identities, each by its output domain."""
        to_b, to_a = partial(self.generate, to="b"), partial(self.generate, to="a")
        if not with_identity:
            fake = {"a": to_a(real["b"]), "b": to_b(real["a"])}
            return fake, {"a": to_a(fake["b"]), "b": to_b(fake["a"])}, {}
        # No layer mixes examples, so one pass of a generator computes translation and identity.
        fake_b, identity_b = to_b(torch.cat([real["a"], real["b"]])).chunk(2)
        fake_a, identity_a = to_a(torch.cat([real["b"], real["a"]])).chunk(2)
        cycle = {"a": to_a(fake_b), "b": to_b(fake_a)}
        return {"a": fake_a, "b": fake_b}, cycle, {"a": identity_a, "b": identity_b}

    def generate(self, x: Tensor, to: str) -> Tensor:
        return self.generators["a_to_b" if to == "b" else "b_to_a"](x).to(x.dtype).tanh()
