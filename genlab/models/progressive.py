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
from genlab.models.penalties import refuse
from genlab.networks.layers import check_least
from genlab.networks.multi_scale import Growing, MultiScale
from genlab.networks.network import Network


class Progressive(GAN):
    """A `GAN` of network=multi-scale.

    planned_steps: of the training. grown: fraction of them after which the networks have grown to the whole size; every
    size takes equally long, and all but the smallest are faded in during the first half of it.
    Also takes the settings of `GAN`.
    """

    kinds = frozenset({"image"})

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        planned_steps: int | None = None,
        grown: float = 0.6,
        **settings: Any,
    ):
        if not isinstance(network, MultiScale):
            raise ValueError(f"network={network.name}: does not grow; choose network=multi-scale")
        if planned_steps is None:
            raise ValueError("model.planned_steps=null: growing needs the number of steps; give trainer.max_steps")
        check_least(1, planned_steps=planned_steps)
        if not 0 <= grown <= 1:
            raise ValueError(f"model.grown={grown}: must lie in [0, 1]")
        refuse(settings.get("loss") == "energy", loss="energy")
        super().__init__(data, network=network, **settings)
        assert isinstance(self.generator, Growing)
        self.period = grown * planned_steps / (self.generator.levels - 0.5)

    def phase(self, step: int) -> float:
        """The number of the size that the networks have grown to; between two numbers one fades into the other."""
        periods = step / self.period if self.period else float(2**10)
        size = int(periods)
        return size - 1 + min(1.0, 2 * (periods - size)) if size else 0.0

    def compared(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        for part in (self.generator, self.discriminator):
            assert isinstance(part, Growing)
            part.grow(self.phase(step))
        return super().compared(batch, step)

    def real(self, batch: Batch) -> Tensor:
        """Real images with as much detail as generated ones."""
        assert isinstance(self.generator, Growing)
        return self.generator.faded(super().real(batch))
