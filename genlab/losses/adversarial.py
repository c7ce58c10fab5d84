"""Losses of the discriminator and the generator of a GAN, and gradient penalties.

D(x) is the discriminator's raw output ("logit"), large for real images. All losses are means over the batch.

References:
- Goodfellow et al. 2014, Generative Adversarial Nets, https://arxiv.org/abs/1406.2661 (minimax, non-saturating)
- Mao et al. 2017, Least Squares GANs, https://arxiv.org/abs/1611.04076 (least-squares)
- Zhao, Mathieu, LeCun 2017, Energy-based GANs, https://arxiv.org/abs/1609.03126 (energy)
- Lim & Ye 2017, Geometric GAN, https://arxiv.org/abs/1705.02894 (hinge)
- Arjovsky et al. 2017, Wasserstein GAN, https://arxiv.org/abs/1701.07875 (wasserstein)
- Jolicoeur-Martineau 2019, The Relativistic Discriminator, https://arxiv.org/abs/1807.00734 (relativistic)
- Gulrajani et al. 2017, Improved Training of Wasserstein GANs, https://arxiv.org/abs/1704.00028 (gradient penalty)
- Kodali et al. 2017, On Convergence and Stability of GANs, https://arxiv.org/abs/1705.07215 (around data)
- Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, https://arxiv.org/abs/1801.04406
  (R1 and R2)
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

AdversarialLoss = Literal[
    "non-saturating", "minimax", "hinge", "least-squares", "wasserstein", "relativistic", "energy"
]


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigma(D(x)) - log(1 - sigma(D(G(z)))), since softplus(-d) = -log sigma(d)."""
    return (softplus(-real) + softplus(fake)).mean()


DISCRIMINATOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "non-saturating": _cross_entropy,
    "minimax": _cross_entropy,
    # max(0, 1 - D(x)) + max(0, 1 + D(G(z)))
    "hinge": lambda real, fake: (relu(1 - real) + relu(1 + fake)).mean(),
    # ((D(x) - 1)^2 + D(G(z))^2) / 2
    "least-squares": lambda real, fake: ((real - 1).square() + fake.square()).mean() / 2,
    # D(G(z)) - D(x): minus the estimate of the Wasserstein distance
    "wasserstein": lambda real, fake: (fake - real).mean(),
    # -log sigma(D(x) - D(G(z)))
    "relativistic": lambda real, fake: softplus(fake - real).mean(),
    # E(x) + max(0, 1 - E(G(z))) of energies E = -D
    "energy": lambda real, fake: (relu(1 + fake) - real).mean(),
}

GENERATOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # -log sigma(D(G(z))): unlike log(1 - sigma(D(G(z)))) it does not saturate if the discriminator is confident
    "non-saturating": lambda real, fake: softplus(-fake).mean(),
    "minimax": lambda real, fake: -softplus(fake).mean(),
    "hinge": lambda real, fake: -fake.mean(),
    # (D(G(z)) - 1)^2 / 2
    "least-squares": lambda real, fake: (fake - 1).square().mean() / 2,
    "wasserstein": lambda real, fake: -fake.mean(),
    "relativistic": lambda real, fake: softplus(real - fake).mean(),
    "energy": lambda real, fake: -fake.mean(),
}


BOUNDARY: dict[str, float] = {"non-saturating": 0.0, "minimax": 0.0, "hinge": 0.0, "least-squares": 0.5}
"""The decision threshold between "real" and "generated" logits. Other losses have none: only differences of their
logits have a meaning."""


RELATIVE = ("wasserstein", "relativistic")
"""Losses that only differences of logits enter: the last layer's bias would move by rounding errors alone."""


def accuracy(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """Fraction of logits on the correct side of `BOUNDARY`, mean of real and generated images; 1/2 is chance."""
    on_real, on_fake = real > BOUNDARY[loss], fake <= BOUNDARY[loss]
    return (on_real.to(real.dtype).mean() + on_fake.to(real.dtype).mean()) / 2


def discriminator_loss(name: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss, from its logits on real and on generated images, both [N]; a scalar."""
    return DISCRIMINATOR[name](real, fake)


def generator_loss(name: AdversarialLoss, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """The generator's loss, from the discriminator's logits [N] on its images; a scalar. real: logits [N] on real
    images, which the relativistic loss needs."""
    return GENERATOR[name](fake if real is None else real, fake)


def slope(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of every D(x_n) with respect to x_n, itself differentiable: [N, ...] -> [N, ...].

    Row n of D(x) must depend on row n of x alone: no batch normalization. Compiled code cannot be differentiated twice.
    """
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):  # half precision would round small gradients to zero
        (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient


def squared_slope(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E |grad D(x)|^2 / 2, R1 on real data and R2 on generated ones; the discriminator maps [N, ...] to [N]."""
    return slope(discriminator, x).flatten(1).square().sum(1).mean() / 2


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 at points x [N, ...]: keeps the critic close to 1-Lipschitz there."""
    return (slope(discriminator, x).flatten(1).norm(dim=1) - 1).square().mean()


def between(real: Tensor, fake: Tensor, position: Tensor) -> Tensor:
    """Points on the lines from data to samples, [N, ...]; position: [N] uniform in [0, 1), 0 at the data."""
    return real.lerp(fake.detach(), position.view(-1, *[1] * (real.dim() - 1)))


def around(real: Tensor, noise: Tensor) -> Tensor:
    """Points around the data, [N, ...], by up to half the standard deviation: that of an image's pixels, or that of
    points, which are standardized; noise: as the data, uniform in [0, 1)."""
    deviation = real.flatten(1).std(1)[:, None, None, None] if real.dim() > 2 else 1
    return real + deviation * noise / 2
