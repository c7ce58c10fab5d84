"""Penalties that keep the discriminator of a GAN from changing steeply.

References:
- Gulrajani et al. 2017, Improved Training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
- Kodali, Abernethy, Hays, Kira 2017, On Convergence and Stability of GANs, https://arxiv.org/abs/1705.07215 (DRAGAN)
- Mescheder, Geiger, Nowozin 2018, Which Training Methods for GANs do actually Converge?,
  https://arxiv.org/abs/1801.04406 (R1, R2)
- Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, https://arxiv.org/abs/1912.04958 (lazily)
- Zhang, Zhang, Odena, Lee 2020, Consistency Regularization for Generative Adversarial Networks,
  https://arxiv.org/abs/1910.12027
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genlab.contract.data import Batch
from genlab.losses.adversarial import (
    BOUNDARY,
    AdversarialLoss,
    around,
    between,
    gradient_penalty,
    squared_slope,
)
from genlab.networks.diff_augment import AdaptiveShare, translation
from genlab.networks.layers import check_least


def refuse(wrong: bool, **settings: Any) -> None:
    """`ValueError` naming those of the `settings` of a model that are not empty, if they are `wrong` for it."""
    if wrong and (given := [f"model.{key}={value}" for key, value in settings.items() if value]):
        raise ValueError(f"{', '.join(given)}: not for this model or data; leave it out, or choose model=gan on images")


def adaptive_share(target: float, augment: Sequence[str], loss: AdversarialLoss) -> AdaptiveShare:
    """Of what is augmented; `ValueError` if the settings of these names do not allow it."""
    if not augment or loss not in BOUNDARY or not -1 <= target <= 1:
        raise ValueError(
            f"model.augment_target={target}: needs a number from -1 to 1, model.augment, and model.loss of "
            f"{', '.join(BOUNDARY)}"
        )
    return AdaptiveShare(target, BOUNDARY[loss])


Discriminate = Callable[[Tensor], Tensor]
PenaltyPoints = Literal["between", "data"]


@dataclass(frozen=True)
class Penalties:
    """Weights of the penalties; the names are those of the settings of `GAN`.

    r1_gamma, r2_gamma: of |grad D|^2 / 2 on real and on generated examples, every `r1_every` steps and as much
        stronger.
    gradient_penalty: of (|grad D| - 1)^2, at every step, at points between data and samples or around the data.
    consistency: of (D(T(x)) - D(x))^2, T a small shift of images.
    weight_clip: the largest magnitude of the discriminator's weights; 0 for any.
    """

    r1_gamma: float
    r2_gamma: float
    r1_every: int
    gradient_penalty: float
    penalty_at: PenaltyPoints
    consistency: float
    weight_clip: float

    def __post_init__(self) -> None:
        check_least(1, r1_every=self.r1_every)
        check_least(0, "model", consistency=self.consistency, weight_clip=self.weight_clip, **self.of_slopes)
        if self.penalty_at not in get_args(PenaltyPoints):
            raise ValueError(f"model.penalty_at={self.penalty_at!r}: choose from {', '.join(get_args(PenaltyPoints))}")

    @property
    def of_slopes(self) -> dict[str, float]:
        """Those of penalties on gradients, for which an example's score must depend on that example alone."""
        return {name: getattr(self, name) for name in ("r1_gamma", "r2_gamma", "gradient_penalty")}

    def mixes_examples(self, discriminator: nn.Module, network: str) -> bool:
        """Whether batch norm makes a score depend on other examples. `ValueError` if it does and there are penalties on
        gradients."""
        if not any(isinstance(layer, _BatchNorm) for layer in discriminator.modules()):
            return False
        if given := [f"model.{name}={value}" for name, value in self.of_slopes.items() if value]:
            raise ValueError(
                f"{', '.join(given)}: these penalties need a discriminator that scores every image separately, and "
                f"that of network={network} normalizes batches; set model.r1_gamma=0 model.r2_gamma=0 "
                "model.gradient_penalty=0, or choose network=conv"
            )
        return True

    @torch.no_grad()
    def clip(self, discriminator: nn.Module) -> None:
        if self.weight_clip:
            for weight in discriminator.parameters():
                weight.clamp_(-self.weight_clip, self.weight_clip)

    def lazily(self, discriminate: Discriminate, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]] | None:
        """Loss of those that are not applied at every step, and what to log; None if there are none."""
        at = {"r1": (self.r1_gamma, real), "r2": (self.r2_gamma, fake)}
        found = {name: squared_slope(discriminate, x) for name, (weight, x) in at.items() if weight}
        if not found:
            return None
        losses = [at[name][0] * self.r1_every * value for name, value in found.items()]
        return sum(losses[1:], losses[0]), {f"{name}_penalty": value for name, value in found.items()}

    def always(
        self, discriminate: Discriminate, real: Tensor, fake: Tensor, logits: Tensor, batch: Batch
    ) -> dict[str, tuple[float, Tensor]]:
        """Weight and value of the others by name. logits: of `real`."""
        found, every = dict[str, tuple[float, Tensor]](), batch.size // len(real)  # packs have a draw for each row
        if self.gradient_penalty and self.penalty_at == "between":
            points = between(real, fake, batch.rand()[::every])
            found["gradient_penalty"] = self.gradient_penalty, gradient_penalty(discriminate, points)
        elif self.gradient_penalty:
            points = around(real, batch.rand(*real.shape[1:])[::every])
            found["gradient_penalty"] = self.gradient_penalty, gradient_penalty(discriminate, points)
        if self.consistency:
            shifted = discriminate(translation(real, batch.rand(2)[::every]))
            found["consistency"] = self.consistency, (shifted - logits).square().mean()
        return found
