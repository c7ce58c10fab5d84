"""InfoGAN: a GAN some of whose noise is a code that can be read from the example, so that it finds kinds and features.

The noise ends with a code c: a category, and continuous numbers in (-1, 1). The discriminator's further outputs are
q(c | x), and both networks maximize E log q(c | G(z, c)), a bound of the mutual information of code and example.

Reference: Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016, InfoGAN: Interpretable Representation Learning by
Information Maximizing Generative Adversarial Nets, https://arxiv.org/abs/1606.03657
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.models.gan import GAN
from genlab.models.latents import standard_normal
from genlab.networks.layers import check_least


class InfoGAN(GAN):
    """A `GAN` with z ~ N(0, I), z: [N, latent_dim + categories + continuous], of which the last entries make the code.

    categories: values of the category, the largest of so many entries. continuous: its numbers, erf(z / sqrt 2).
    code_weight: of -log q(c | x), where q is a softmax and a normal distribution of variance 1 (lambda in the paper).
    Also takes the settings of `GAN`.
    """

    def __init__(
        self, data: DataSpec, *, categories: int = 10, continuous: int = 2, code_weight: float = 1.0, **settings: Any
    ):
        check_least(2, categories=categories)
        check_least(0, continuous=continuous, code_weight=code_weight)
        self.categories, self.continuous, self.code_weight = categories, continuous, code_weight
        super().__init__(data, **settings)

    @property
    def num_conditions(self) -> int:
        return self.categories + self.continuous

    def latent_name(self, latent: int) -> str:
        """Of the code: category 0, category 1, ..., number 0, number 1, ..."""
        place = latent - self.latent_dim
        if place < 0:
            return ""
        return f"category {place}" if place < self.categories else f"number {place - self.categories}"

    def latents(self, batch: Batch) -> Tensor:
        return batch.randn(self.latent_dim + self.num_conditions)

    def prior(self, num_samples: int, truncation: float | None = None) -> Tensor:
        return standard_normal(num_samples, self.latent_dim + self.num_conditions, self.generator, truncation)

    def code(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The category [N] and the numbers [N, continuous] of latents."""
        category, numbers = z[:, self.latent_dim :].split([self.categories, self.continuous], 1)
        return category.argmax(1), torch.erf(numbers / 2**0.5)

    def generate(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        category, numbers = self.code(z)
        told = one_hot(category, self.categories).to(z.dtype)
        return super().generate(torch.cat([z[:, : self.latent_dim], told, numbers], 1))

    def further(self, outputs: Tensor, z: Tensor, batch: Batch, real: bool) -> dict[str, Tensor]:
        """category, numbers: -log q(c | x) of samples."""
        if real:
            return {}
        category, numbers = self.code(z)
        told, means = outputs[:, 1:].split([self.categories, self.continuous], 1)
        losses = {"category": cross_entropy(told, category)}
        if self.continuous:
            losses["numbers"] = (means - numbers).square().sum(1).mean() / 2
        return {name: self.code_weight * loss for name, loss in losses.items()}

    def classify(self, x: Tensor) -> Tensor:
        """log q of each category [N, categories] of examples [N, *shape], up to a constant."""
        return self.read(self.signed.inward(x))[:, 1 : 1 + self.categories]
