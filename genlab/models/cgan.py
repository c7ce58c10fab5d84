"""Conditional GAN: both the generator and the discriminator are conditioned on the class label.

The generator takes the label as a one-hot vector concatenated to the noise, G(z, y). The discriminator takes it in one
of three ways:
- projection: one unconditional output and one per class, D(x, y) = d_0(x) + d_y(x). Its inner product <v_y, phi(x)> is
  output y of the last layer;
- input: as a one-hot vector concatenated to the example, of an mlp;
- auxiliary: D(x) = d_0(x), and the other outputs classify, a task that both networks share.

References:
- Mirza and Osindero 2014, Conditional Generative Adversarial Nets, https://arxiv.org/abs/1411.1784
- Odena, Olah, Shlens 2017, Conditional Image Synthesis with Auxiliary Classifier GANs,
  https://arxiv.org/abs/1610.09585
- Miyato and Koyama 2018, cGANs with Projection Discriminator, https://arxiv.org/abs/1802.05637
"""

from math import log, prod
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.models.gan import GAN
from genlab.networks.network import Network

LabelName = Literal["projection", "input", "auxiliary"]


class CGAN(GAN):
    """A class-conditional `GAN`: x = (1 + tanh G(z, y)) / 2 with z ~ N(0, I), y in 0 .. num_classes - 1.

    label: how the discriminator takes the label. Also takes the settings of `GAN`.
    """

    requires = frozenset({"x", "label"})
    conditions = ("label",)

    def __init__(self, data: DataSpec, *, label: LabelName = "projection", **settings: Any):
        if label not in get_args(LabelName):
            raise ValueError(f"model.label={label!r}: choose from {', '.join(get_args(LabelName))}")
        self.label = label  # set first: make_discriminator needs it
        super().__init__(data, **settings)

    @property
    def num_conditions(self) -> int:
        return self.data.num_classes

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        """Images to [N, 1 + num_classes]; with label=input, concatenated images and labels to [N, 1]."""
        if self.label != "input":
            return super().make_discriminator(network, **style)
        if network.images_only:
            raise ValueError(
                f"model.label=input: an mlp discriminator takes labels as an input, but not that of "
                f"network={network.name}; choose network=mlp or model.label=projection"
            )
        return network.encoder((prod(self.data.shape) + self.num_conditions,), 1, **style)

    def generate(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """G(z, y): noise [N, latent_dim] and labels [N] to examples [N, *shape], images in [-1, 1]."""
        return super().generate(self._with_label(z, condition))

    def _with_label(self, rows: Tensor, condition: Condition | None) -> Tensor:
        """Rows [N, D], each concatenated with its one-hot label. `ValueError` without labels."""
        return torch.cat([rows, one_hot(self.needed(condition)["label"], self.num_conditions).to(rows.dtype)], dim=1)

    def discriminator_input(self, x: Tensor, condition: Condition | None) -> Tensor:
        return self._with_label(x.flatten(1), condition) if self.label == "input" else x

    def logits(self, outputs: Tensor, condition: Condition | None) -> Tensor:
        """D(x, y), [N], from the discriminator's outputs and labels [N]: d_0(x) + d_y(x) for the projection."""
        if self.label != "projection":
            return super().logits(outputs, condition)
        return outputs[:, 0] + outputs.gather(1, 1 + self.needed(condition)["label"][:, None]).squeeze(1)

    def further(self, outputs: Tensor, z: Tensor, batch: Batch, real: bool) -> dict[str, Tensor]:
        """class: cross-entropy of the label, with label=auxiliary."""
        if self.label != "auxiliary":
            return {}
        return {"class": cross_entropy(outputs[:, 1:], batch["label"])}

    def discriminator_score(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """D(x, y), [N], for examples [N, *shape]; without labels the logit of unknown class, log mean_y exp D(x, y)."""
        if condition is not None or self.label == "auxiliary":
            return super().discriminator_score(x, condition)
        x = self.signed.inward(x)
        if self.label == "input":
            labels = torch.arange(self.num_conditions, device=x.device)
            logits = torch.stack([self.discriminate(x, {"label": y.expand(len(x))}) for y in labels], dim=1)
        else:
            outputs = self.discriminator(x).to(x.dtype)
            logits = outputs[:, :1] + outputs[:, 1:]
        return logits.logsumexp(1) - log(self.num_conditions)
