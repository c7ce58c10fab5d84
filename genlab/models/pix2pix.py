"""Translation of pairs by a conditional GAN: a generator makes b of a, a discriminator reads a and b together.

The discriminator asks whether b could belong to a, and so demands what the mean absolute error cannot: one sharp answer
instead of the median of all. Dropout is the generator's noise, also when it translates; without dropout it has none.

References:
- Isola, Zhu, Zhou, Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks,
  https://arxiv.org/abs/1611.07004
- Mao et al. 2017, Least Squares GANs, https://arxiv.org/abs/1611.04076
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import Update
from genlab.losses.adversarial import accuracy, discriminator_loss, generator_loss
from genlab.models.translate_l1 import TranslateL1
from genlab.networks.layers import check_least, initialize_all
from genlab.networks.network import Network
from genlab.networks.patchgan import PatchDiscriminator


class Pix2Pix(TranslateL1):
    """a -> G(a, noise) against D(a, b), a map of logits; the networks work in [-1, 1].

    network: G is its translator; the dropout of a U-Net is the noise.
    l1_weight: weight of |G(a) - b|, pixels in [-1, 1], relative to the adversarial term (lambda in the paper).
    conditional_discriminator: whether D reads a as well as b.
    discriminator_width: output channels of the discriminator's first layer.
    discriminator_layers: its layers with stride 2, which determine the patch size; None chooses by the image size.
    """

    metrics = {"sliced_wasserstein": "min", "l1": "min"}  # the first, as a blurred translation has the least error
    style = {"noise": True}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        loss: Literal["non-saturating", "least-squares"] = "non-saturating",
        l1_weight: float = 100.0,
        conditional_discriminator: bool = True,
        discriminator_width: int = 32,
        discriminator_layers: int | None = None,
    ):
        super().__init__(data, network=network)
        check_least(0, l1_weight=l1_weight)
        check_least(1, discriminator_width=discriminator_width)
        self.loss, self.l1_weight, self.conditional = loss, l1_weight, conditional_discriminator
        channels, *size = data["b"].shape
        seen = channels + (self.from_a.shape[0] if conditional_discriminator else 0)
        self.discriminator = PatchDiscriminator((seen, *size), discriminator_width, discriminator_layers)
        initialize_all(self)  # Isola et al. 2017, section 6.2
        if size_of_noise := getattr(self.translator, "noise_size", 0):
            self.noise_sizes, self.noisy = (size_of_noise,), ("translate",)

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.translator}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        a, b = self.from_a(batch["a"]), self.to_b.inward(batch["b"])
        fake = self.generate(a, *map(batch.rand, self.noise_sizes))

        real_logits, fake_logits = self._logits(torch.cat([a, a]), torch.cat([b, fake.detach()])).chunk(2)
        loss = discriminator_loss(self.loss, real_logits, fake_logits)
        if self.loss == "non-saturating":
            loss = loss / 2  # slows the discriminator down (section 3.3); least squares are halved already
        yield Update("discriminator", loss, {"accuracy": accuracy(self.loss, real_logits, fake_logits)})

        adversarial, error = generator_loss(self.loss, self._logits(a, fake)), l1_loss(fake, b)
        if self.loss == "least-squares":
            adversarial = 2 * adversarial  # (D - 1)^2: the discriminator's loss alone is halved
        loss = adversarial + self.l1_weight * error  # -log D(a, G(a)) and |G(a) - b|
        yield Update("generator", loss, {"adversarial": adversarial, "l1": error / 2})  # of pixels in [0, 1]

    def _logits(self, a: Tensor, b: Tensor) -> Tensor:
        """D(a, b): [N, 1, h, w] in the precision of b, regardless of autocast."""
        return self.discriminator(torch.cat([a, b], 1) if self.conditional else b).to(b.dtype)
