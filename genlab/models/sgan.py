"""Semi-supervised GAN: the discriminator names the class of what is real, also from images without labels.

It has an output for each class, and D(x) = log sum exp of them, so that "generated" is one class more, of output 0.
Labelled images teach which class, all others that it is one of them.

References:
- Odena 2016, Semi-Supervised Learning with Generative Adversarial Networks, https://arxiv.org/abs/1606.01583
- Salimans et al. 2016, Improved Techniques for Training GANs, https://arxiv.org/abs/1606.03498 (section 5)
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.models.gan import GAN
from genlab.models.penalties import refuse
from genlab.networks.layers import check_least
from genlab.networks.network import Network


class SGAN(GAN):
    """A `GAN` whose discriminator classifies, by the labels that `dataset.num_labels` leaves.

    label_weight: of the mean cross-entropy of the labels that are known.
    Also takes the settings of `GAN`.
    """

    requires = frozenset({"x", "label"})
    reads = frozenset({"labelled"})
    metrics = {"classification_error": "min", **GAN.metrics}

    def __init__(self, data: DataSpec, *, label_weight: float = 1.0, **settings: Any):
        check_least(0, label_weight=label_weight)
        self.label_weight = label_weight
        super().__init__(data, **settings)
        refuse(True, pack=self.pack > 1 and self.pack, loss=self.loss == "energy" and self.loss)

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        return network.encoder(self.data.shape, self.data.num_classes, **style)

    def logits(self, outputs: Tensor, condition: Condition | None) -> Tensor:
        return outputs.logsumexp(1)

    def further(self, outputs: Tensor, z: Tensor, batch: Batch, real: bool) -> dict[str, Tensor]:
        """class: cross-entropy of the labels that are known, each of which stands for as many examples as `labelled`
        says; of all labels where the data do not have that field."""
        if not real:
            return {}
        losses = cross_entropy(outputs, batch["label"], reduction="none")
        stands_for = batch["labelled"] if "labelled" in batch else torch.ones_like(batch["label"])
        return {"class": self.label_weight * (losses * stands_for).mean()}

    def classify(self, x: Tensor) -> Tensor:
        """log p of each class [N, K] of examples [N, *shape], up to a constant."""
        return self.read(self.signed.inward(x))

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Also classification_error: share of examples whose class is not the one read."""
        wrong = (self.classify(batch["x"]).argmax(1) != batch["label"]).to(batch["x"].dtype).mean()
        return {**super().evaluate(batch), "classification_error": wrong}
