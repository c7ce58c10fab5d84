"""Validation every so many steps, and stopping early where a metric has stopped to improve."""

import math

from genlab.callbacks.base import Callback, Measurement
from genlab.training.trainer import Trainer


class Validation(Measurement):
    """Measures the validation split and tells all callbacks."""

    def measure(self, trainer: Trainer) -> None:
        trainer.emit("validated", trainer.validate())


class EarlyStopping(Callback):
    """Ends the run after `patience` validations without improvement of `metric`; NaN and infinity are none.

    direction: "min" or "max".
    """

    def __init__(self, metric: str, direction: str, patience: int):
        self.metric, self.sign, self.patience = metric, 1 if direction == "max" else -1, patience
        self.best = -math.inf
        self.failures = 0

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if self.metric not in metrics:
            measured = ", ".join(metrics)
            raise ValueError(
                f"trainer.early_stop_metric={self.metric}: not measured on this dataset; it has {measured}"
            )
        score = self.sign * metrics[self.metric]
        if math.isfinite(score) and score > self.best:
            self.best, self.failures = score, 0
        else:
            self.failures += 1
        if self.failures >= self.patience:
            trainer.stop_reason = f"validation/{self.metric} has not improved for {self.patience} validations"

    def state_dict(self) -> dict:
        return {"best": self.best, "failures": self.failures}

    def load_state_dict(self, state: dict) -> None:
        self.best, self.failures = state["best"], state["failures"]
