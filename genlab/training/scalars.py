"""Scalars of the steps since the last log row: kept on the device, fetched together, refused when not finite."""

import math

import torch
from torch import Tensor


class TrainingDiverged(RuntimeError):
    """A loss term became NaN or infinite; the message names the step and the term."""


class ScalarWindow:
    """Collects scalars by name over steps without waiting for the device."""

    def __init__(self):
        self.pending: dict[str, list[tuple[int, Tensor]]] = {}
        self.fetched: dict[str, list[float]] = {}
        self.bad: list[tuple[int, str, float]] = []

    def add(self, step: int, scalars: dict[str, Tensor]) -> None:
        for name, value in scalars.items():
            self.pending.setdefault(name, []).append((step, value.detach()))

    def fetch(self) -> None:
        """Bring what is pending from the device, all of a name in one transfer."""
        for name, entries in self.pending.items():
            values = torch.stack([value for _, value in entries]).tolist()
            self.bad += [(step, name, v) for (step, _), v in zip(entries, values, strict=True) if not math.isfinite(v)]
            self.fetched.setdefault(name, []).extend(values)
        self.pending = {}

    def refuse(self) -> None:
        """Raise `TrainingDiverged`, naming the first value that was not finite."""
        if not self.bad:
            raise TrainingDiverged("a loss became NaN or infinite in another process")
        step, name, value = min(self.bad)
        raise TrainingDiverged(
            f"{name} became {value} at step {step}. Lower optimizer.lr, set trainer.clip, "
            "or use device.precision=fp32 if it was another."
        )

    def means(self, check: bool = True) -> dict[str, float]:
        """Mean of each scalar over the window, which then starts anew; refused where one is not finite, if `check`."""
        self.fetch()
        if check and self.bad:
            self.refuse()
        means = {name: sum(values) / len(values) for name, values in self.fetched.items()}
        self.fetched = {}
        return means

    def state_dict(self) -> dict[str, list[float]]:
        """What a checkpoint keeps of an unfinished window; refused where a value is not finite."""
        self.fetch()
        if self.bad:
            self.refuse()
        return {name: list(values) for name, values in self.fetched.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.pending, self.fetched = {}, {name: list(values) for name, values in state.items()}
