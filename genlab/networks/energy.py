"""A discriminator that reconstructs what it reads: examples it knows well are real.

Reference: Zhao, Mathieu, LeCun 2017, Energy-based Generative Adversarial Networks, https://arxiv.org/abs/1609.03126
"""

from typing import Any

from torch import Tensor, nn

from genlab.networks.network import Network, Shape


class Energy(nn.Module):
    """Examples [N, *shape] to minus the mean squared error of their reconstruction, [N, 1], from `size` numbers."""

    def __init__(self, network: Network, shape: Shape, size: int, **style: Any):
        super().__init__()
        self.encoder, self.decoder = network.encoder(shape, size, **style), network.decoder(size, shape, **style)

    def forward(self, x: Tensor) -> Tensor:
        return -(self.decoder(self.encoder(x)) - x).square().flatten(1).mean(1, keepdim=True)
