"""Periodic validation, and early stopping if a metric no longer improves."""

import math

from genlab.training.callback import Callback, Measurement, at_end, score_of
from genlab.training.inference import rehearse, validate
from genlab.training.scalars import TrainingDiverged
from genlab.training.trainer import Trainer


class Validation(Measurement):
    """Measures the validation split and notifies all callbacks. A run that cannot do so fails at its start.

    `TrainingDiverged` if a value is not finite at the end of the run; before it, training may recover.
    """

    key = "validation"

    def on_start(self, trainer: Trainer) -> None:
        trainer.emit("on_rehearse", rehearse(trainer))

    def measure(self, trainer: Trainer) -> None:
        metrics = validate(trainer)
        trainer.emit("on_validate", metrics)
        for name, value in metrics.items():
            if at_end(trainer) and not math.isfinite(value):
                raise TrainingDiverged.at(trainer.step, f"validation/{name}", value)


class EarlyStopping(Callback):
    """Stops the run after `patience` validations without improvement of `metric`; NaN and infinity do not improve.

    direction: "min" or "max".
    """

    key = "early_stopping"

    def __init__(self, metric: str, direction: str, patience: int):
        self.metric, self.direction, self.patience = metric, direction, patience
        self.best = -math.inf
        self.failures = 0

    def on_rehearse(self, trainer: Trainer, metrics: list[str]) -> None:
        if self.metric not in metrics:
            measured = ", ".join(metrics)
            raise ValueError(
                f"trainer.early_stop_metric={self.metric}: not measured on this dataset; it has {measured}"
            )

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        score = score_of(metrics[self.metric], self.direction)
        if score > self.best:
            self.best, self.failures = score, 0
        else:
            self.failures += 1
        if self.failures >= self.patience:
            trainer.stop_reason = f"validation/{self.metric} has not improved for {self.patience} validations"

    def state_dict(self) -> dict:
        return {"best": self.best, "failures": self.failures}

    def load_state_dict(self, state: dict) -> None:
        self.best, self.failures = state["best"], state["failures"]
