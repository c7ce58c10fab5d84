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

    def add(self, step: int, scalars: dict[str, Tensor]) -> None:
        for name, value in scalars.items():
            self.pending.setdefault(name, []).append((step, value.detach()))

    def fetch(self) -> None:
        """Bring what is pending from the device. Raises `TrainingDiverged` for the first value that is not finite."""
        bad = []
        for name, entries in self.pending.items():
            values = torch.stack([value for _, value in entries]).tolist()
            bad += [(step, name, v) for (step, _), v in zip(entries, values, strict=True) if not math.isfinite(v)]
            self.fetched.setdefault(name, []).extend(values)
        self.pending = {}
        if bad:
            step, name, value = min(bad)
            raise TrainingDiverged(
                f"{name} became {value} at step {step}. Lower optimizer.lr, set trainer.clip, "
                "or use device.precision=fp32 if it was another."
            )

    def means(self) -> dict[str, float]:
        """Mean of each scalar over the window, which then starts anew."""
        self.fetch()
        means = {name: math.fsum(values) / len(values) for name, values in self.fetched.items()}
        self.fetched = {}
        return means

    def state_dict(self) -> dict[str, list[float]]:
        self.fetch()
        return {name: list(values) for name, values in self.fetched.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.pending, self.fetched = {}, {name: list(values) for name, values in state.items()}
