"""beta-VAE: a VAE with a weighted KL term, which encourages disentangled latents.

References:
- Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, https://openreview.net/forum?id=Sy2fzU9gl
- Burgess et al. 2018, Understanding disentangling in beta-VAE, https://arxiv.org/abs/1804.03599
"""

from typing import Any

from torch import Tensor

from genlab.contract.data import DataSpec
from genlab.models.vae import VAE
from genlab.networks.layers import check_least


class BetaVAE(VAE):
    """Minimizes reconstruction + beta KL; with `capacity`, reconstruction + beta |KL - C| with an increasing C.

    beta: weight of the KL term; 1 is the VAE.
    capacity: final value of C in nats, reached linearly from 0 over `capacity_steps` steps; null for none. The KL in
        |KL - C| is the mean over a micro-batch, so splitting a batch changes the loss if C lies between the parts' KL.
    Also takes the settings of `VAE`.
    """

    def __init__(
        self,
        data: DataSpec,
        *,
        beta: float = 4.0,
        capacity: float | None = None,
        capacity_steps: int = 10000,
        **settings: Any,
    ):
        super().__init__(data, **settings)
        check_least(0, beta=beta)
        check_least(1, capacity_steps=capacity_steps)
        self.beta, self.capacity, self.capacity_steps = beta, capacity, capacity_steps

    def weighted(self, kl: Tensor, step: int) -> Tensor:
        """beta KL, or beta |KL - C(step)|, of a KL in nats (mean over the batch)."""
        if self.capacity is None:
            return self.beta * kl
        return self.beta * (kl - self.capacity * min(1.0, step / self.capacity_steps)).abs()
