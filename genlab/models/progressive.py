"""Progressive GAN: both networks begin with the smallest images and grow, size by size, as training goes on.

A new size is faded in. How far the networks have grown follows from the step alone, so that a run can be resumed in the
middle of a fade.

Reference: Karras, Aila, Laine, Lehtinen 2018, Progressive Growing of GANs for Improved Quality, Stability, and
Variation, https://arxiv.org/abs/1710.10196
"""

from typing import Any

from torch import Tensor

from genlab.contract.data import Batch, DataSpec
from genlab.models.gan import GAN
from genlab.networks.layers import check_least
from genlab.networks.multi_scale import Growing, MultiScale
from genlab.networks.network import Network


class Progressive(GAN):
    """A `GAN` of network=multi-scale. grow_steps: for each size; all but the smallest are faded in during the first
    half. Also takes the settings of `GAN`.
    """

    kinds = frozenset({"image"})

    def __init__(self, data: DataSpec, *, network: Network, grow_steps: int = 1000, **settings: Any):
        check_least(1, grow_steps=grow_steps)
        if not isinstance(network, MultiScale):
            raise ValueError(f"network={network.name}: does not grow; choose network=multi-scale")
        super().__init__(data, network=network, **settings)
        self.grow_steps = grow_steps

    def phase(self, step: int) -> float:
        """The number of the size that the networks have grown to; between two numbers one fades into the other."""
        size, left = divmod(step, self.grow_steps)
        return size - 1 + min(1.0, 2 * left / self.grow_steps) if size else 0.0

    def compared(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        for part in (self.generator, self.discriminator):
            assert isinstance(part, Growing)
            part.grow(self.phase(step))
        return super().compared(batch, step)
