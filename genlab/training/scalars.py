"""Scalars of the steps since the last log row: kept on the device, fetched together, checked to be finite."""

import math

import torch
from torch import Tensor

from genlab.system import distributed


class TrainingDiverged(RuntimeError):
    """A loss, a validation metric or a weight became NaN or infinite; the message names it and the step."""

    @classmethod
    def at(cls, step: int, name: str, value: float) -> "TrainingDiverged":
        return cls(
            f"{name} became {value} at step {step}. Lower optimizer.lr, set trainer.clip, "
            "or use device.precision=fp32 if it was another."
        )


def mean(values: list[Tensor]) -> Tensor:
    """Mean of scalars, as a new tensor without gradients: a CUDA graph overwrites its own ones at the next step."""
    return values[0].detach().clone() if len(values) == 1 else torch.stack([value.detach() for value in values]).mean()


class ScalarWindow:
    """Collects scalars by name over steps, without synchronising with the device."""

    def __init__(self):
        self.pending: dict[str, list[tuple[int, Tensor]]] = {}
        self.fetched: dict[str, list[float]] = {}  # sum and count of the values
        self.bad: list[tuple[int, str, float]] = []

    def add(self, step: int, scalars: dict[str, Tensor]) -> None:
        for name, value in scalars.items():
            self.pending.setdefault(name, []).append((step, value.detach()))

    def fetch(self) -> None:
        """Fetch pending values from the device, in one transfer per name."""
        for name, entries in self.pending.items():
            values = torch.stack([value for _, value in entries]).tolist()
            self.bad += [(step, name, v) for (step, _), v in zip(entries, values, strict=True) if not math.isfinite(v)]
            total, count = self.fetched.get(name, (0.0, 0))
            for value in values:  # `sum` compensates rounding, which would depend on how the values are batched
                total += value
            self.fetched[name] = [total, count + len(values)]
        self.pending = {}

    def finite(self) -> bool:
        """Whether every value since the last row is finite, in all processes. Synchronises with the device."""
        self.fetch()
        return not distributed.largest(len(self.bad))

    def refuse(self) -> None:
        """Raise `TrainingDiverged`, naming the first value that was not finite."""
        if not self.bad:
            raise TrainingDiverged("a loss became NaN or infinite in another process")
        step, name, value = min(self.bad)
        raise TrainingDiverged.at(step, name, value)

    @property
    def filled(self) -> bool:
        """Whether there was a step since the last row."""
        return bool(self.pending or self.fetched)

    def means(self, keep: bool = False) -> dict[str, float]:
        """Mean of each scalar over the window and the processes. Clears the window unless `keep`.

        `TrainingDiverged` in all processes if any value is not finite, so that none waits for another.
        """
        self.fetch()
        means = [total / count for total, count in self.fetched.values()]
        pooled = torch.tensor(means, dtype=torch.float64)
        distributed.average([pooled])
        if not pooled.isfinite().all():
            self.refuse()
        found = dict(zip(self.fetched, pooled.tolist(), strict=True))
        if not keep:
            self.fetched = {}
        return found

    def state_dict(self) -> dict[str, list[float]]:
        """The unfinished window for a checkpoint: by name, the sum in each process and the number of values.

        A collective call. `TrainingDiverged` in all processes if any value is not finite.
        """
        if not self.finite():
            self.refuse()
        own = torch.tensor([total for total, _ in self.fetched.values()], dtype=torch.float64)
        sums = distributed.gather_rows(own[None]).T.tolist()
        return {name: [*sums[place], count] for place, (name, (_, count)) in enumerate(self.fetched.items())}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Each process loads its own sum, or their mean if the number of processes has changed."""
        place, world = distributed.rank(), distributed.world()
        self.pending, self.fetched = {}, {}
        for name, (*sums, count) in state.items():
            total = sums[place] if len(sums) == world else sum(sums) / len(sums)
            self.fetched[name] = [total, count]
        self.bad = []  # of the discarded state
