"""Losses of the discriminator and the generator of a GAN, and gradient penalties.

D(x) is the discriminator's raw output ("logit"), large for real images. All losses are means over the batch.

References:
- Goodfellow et al. 2014, Generative Adversarial Nets, https://arxiv.org/abs/1406.2661 (non-saturating)
- Mao et al. 2017, Least Squares GANs, https://arxiv.org/abs/1611.04076 (least-squares)
- Lim & Ye 2017, Geometric GAN, https://arxiv.org/abs/1705.02894 (hinge)
- Arjovsky et al. 2017, Wasserstein GAN, https://arxiv.org/abs/1701.07875 (wasserstein)
- Gulrajani et al. 2017, Improved Training of Wasserstein GANs, https://arxiv.org/abs/1704.00028 (gradient penalty)
- Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?, https://arxiv.org/abs/1801.04406 (R1)
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

AdversarialLoss = Literal["non-saturating", "hinge", "least-squares", "wasserstein"]

DISCRIMINATOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # -log sigma(D(x)) - log(1 - sigma(D(G(z)))), since softplus(-d) = -log sigma(d)
    "non-saturating": lambda real, fake: (softplus(-real) + softplus(fake)).mean(),
    # max(0, 1 - D(x)) + max(0, 1 + D(G(z)))
    "hinge": lambda real, fake: (relu(1 - real) + relu(1 + fake)).mean(),
    # ((D(x) - 1)^2 + D(G(z))^2) / 2
    "least-squares": lambda real, fake: ((real - 1).square() + fake.square()).mean() / 2,
    # D(G(z)) - D(x): minus the estimate of the Wasserstein distance
    "wasserstein": lambda real, fake: (fake - real).mean(),
}

GENERATOR: dict[str, Callable[[Tensor], Tensor]] = {
    # -log sigma(D(G(z))): unlike log(1 - sigma(D(G(z)))) it does not saturate if the discriminator is confident
    "non-saturating": lambda fake: softplus(-fake).mean(),
    "hinge": lambda fake: -fake.mean(),
    # (D(G(z)) - 1)^2 / 2
    "least-squares": lambda fake: (fake - 1).square().mean() / 2,
    "wasserstein": lambda fake: -fake.mean(),
}


def discriminator_loss(name: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss, from its logits on real and on generated images, both [N]; a scalar."""
    return DISCRIMINATOR[name](real, fake)


def generator_loss(name: AdversarialLoss, fake: Tensor) -> Tensor:
    """The generator's loss, from the discriminator's logits [N] on its images; a scalar."""
    return GENERATOR[name](fake)


def slope(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of every D(x_n) with respect to x_n, itself differentiable: [N, ...] -> [N, ...].

    Row n of D(x) must depend on row n of x alone: no batch normalization. Compiled code cannot be differentiated twice.
    """
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):  # half precision would round small gradients to zero
        (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """R1 penalty on real data, E |grad D(x)|^2 / 2; the discriminator maps [N, ...] to [N]."""
    return slope(discriminator, real).flatten(1).square().sum(1).mean() / 2


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, position: Tensor) -> Tensor:
    """E (|grad D(u)| - 1)^2 at points u between data and samples: keeps the critic close to 1-Lipschitz.

    position: [N] uniform in [0, 1), interpolates from the real (0) to the generated image (1).
    """
    position = position.view(-1, *[1] * (real.dim() - 1))
    between = real.lerp(fake.detach(), position)
    return (slope(discriminator, between).flatten(1).norm(dim=1) - 1).square().mean()
