"""Exponential moving average of the weights, used for sampling (Polyak and Juditsky 1992; GANs: Yazici et al. 2019)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages the parameters and floating-point buffers of some child modules of a model.

    The decay is min(decay, (1 + step) / (10 + step)): low at first, so that the random initial weights fade quickly.
    """

    def __init__(self, model: nn.Module, children: tuple[str, ...], decay: float):
        self.decay = decay
        self.live = {
            f"{child}.{name}": value
            for child in children
            for name, value in model.get_submodule(child).state_dict(keep_vars=True).items()
            if value.is_floating_point()
        }
        self.averages = {name: value.detach().clone() for name, value in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """average <- decay * average + (1 - decay) * weight, in one fused call."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.averages.values()), [v.detach() for v in self.live.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averaged weights inside the block; restore the model's own after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.live.items():
            value.data, self.averages[name] = self.averages[name], value.data

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.averages)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, value in self.averages.items():
            value.copy_(state[name])
