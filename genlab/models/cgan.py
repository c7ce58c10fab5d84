"""Conditional GAN: the label is an input of the generator, and the discriminator judges picture and label together.

The discriminator has one output for "real at all" and one for each class, D(x, y) = d_0(x) + d_y(x): this is the
projection discriminator, whose inner product <v_y, phi(x)> is row y of its last layer. The generator takes the
label as a one-hot vector beside the noise, G(z, y).

References:
- Mirza and Osindero 2014, Conditional Generative Adversarial Nets, https://arxiv.org/abs/1411.1784
- Miyato and Koyama 2018, cGANs with Projection Discriminator, https://arxiv.org/abs/1802.05637
"""

from math import log

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlab.data.spec import Batch
from genlab.models.gan import GAN

_PREVIEW_COLUMNS = 10


class CGAN(GAN):
    """A `GAN` told the class: x = (1 + tanh G(z, y)) / 2 with z ~ N(0, I), y in 0 .. num_classes - 1."""

    requires = frozenset({"image", "label"})

    @property
    def num_conditions(self) -> int:
        return self.data.num_classes

    def paint(self, z: Tensor, label: Tensor) -> Tensor:
        """G(z, y): noise [N, latent_dim] and labels [N] to pictures [N, C, H, W] in [-1, 1]."""
        return super().paint(torch.cat([z, one_hot(label, self.num_conditions).to(z.dtype)], dim=1))

    def logits(self, outputs: Tensor, label: Tensor) -> Tensor:
        """D(x, y) = d_0(x) + d_y(x), [N], from the discriminator's outputs [N, 1 + num_classes] and labels [N]."""
        return outputs[:, 0] + outputs.gather(1, 1 + label[:, None]).squeeze(1)

    def sample(self, num_samples: int, label: Tensor | int | None = None) -> Tensor:
        """Pictures [num_samples, C, H, W] in [0, 1] of class `label` (one for all, or [num_samples]), else of all
        classes in turn."""
        device = next(self.generator.parameters()).device
        if label is None:
            label = torch.arange(num_samples, device=device) % self.num_conditions
        return super().sample(num_samples, torch.as_tensor(label, device=device).expand(num_samples))

    def realness(self, x: Tensor) -> Tensor:
        """log mean_y exp D(x, y), [N]: the logit where the class of pictures [N, C, H, W] in [0, 1] is not known."""
        outputs = self.discriminator(2 * x - 1).to(x.dtype)
        return outputs[:, 0] + outputs[:, 1:].logsumexp(1) - log(self.num_conditions)

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """A class a row, the same noise down every column."""
        z = batch.randn(self.latent_dim)[:_PREVIEW_COLUMNS]
        label = torch.arange(self.num_conditions, device=z.device).repeat_interleave(len(z))
        samples = self.paint(z.repeat(self.num_conditions, 1), label)
        return {"samples": (1 + samples).unflatten(0, (self.num_conditions, len(z))) / 2}
