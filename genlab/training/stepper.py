"""How a step is computed: eagerly, or by replaying a CUDA graph from the fourth step of a kind on."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from genlab.contract.data import Batch
from genlab.training.cuda_graph import GPU, Recorder, StepGraphs, make_capturable, portable

Scalars = dict[str, Tensor]


class Stepper(Protocol):
    def set_rate(self, group: dict[str, Any], rate: float) -> None:
        """Set the learning rate of an optimizer's parameter group."""

    def step(self, batch: Batch) -> Scalars:
        """One step on `batch`."""

    def optimizer_state(self, optimizer: Optimizer) -> dict:
        """An optimizer's state for a checkpoint."""

    def state_was_loaded(self) -> None:
        """To be called after state was loaded into the optimizers."""


def make_stepper(
    cuda_graph: bool,
    make_updates: Callable[[Batch], Scalars],
    kind: Callable[[], Hashable],
    optimizers: Iterable[Optimizer],
) -> Stepper:
    """The stepper that runs `make_updates`, as CUDA graphs or eagerly. kind: a key of the computation in this step."""
    return Replaying(make_updates, kind, optimizers, GPU()) if cuda_graph else Eager(make_updates)


class Eager:
    """Computes each step eagerly."""

    def __init__(self, make_updates: Callable[[Batch], Scalars]):
        self.make_updates = make_updates

    def set_rate(self, group: dict[str, Any], rate: float) -> None:
        group["lr"] = rate

    def step(self, batch: Batch) -> Scalars:
        return self.make_updates(batch)

    def optimizer_state(self, optimizer: Optimizer) -> dict:
        return optimizer.state_dict()

    def state_was_loaded(self) -> None:
        pass


class Replaying:
    """Replays steps as CUDA graphs."""

    def __init__(
        self,
        make_updates: Callable[[Batch], Scalars],
        kind: Callable[[], Hashable],
        optimizers: Iterable[Optimizer],
        recorder: Recorder,
    ):
        self.kind, self.optimizers = kind, list(optimizers)
        self.graphs = StepGraphs(make_updates, recorder)
        make_capturable(self.optimizers)

    def set_rate(self, group: dict[str, Any], rate: float) -> None:
        group["lr"].fill_(rate)

    def step(self, batch: Batch) -> Scalars:
        return self.graphs.step(self.kind(), batch)

    def optimizer_state(self, optimizer: Optimizer) -> dict:
        return portable(optimizer.state_dict())

    def state_was_loaded(self) -> None:
        make_capturable(self.optimizers)
        self.graphs.forget()
