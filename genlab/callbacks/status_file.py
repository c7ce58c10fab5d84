"""Keeps `status.json` up to date during training."""

import math
import time
from dataclasses import asdict
from typing import Any

from genlab.callbacks.watch import Alarm
from genlab.checkpoints.status import RunStatus
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer

_SECONDS_BETWEEN_WRITES = 5


class StatusFile(Callback):
    """Writes the current step, speed, alarms and the latest value of every validation and evaluation metric."""

    key = "status"

    def __init__(self, status: RunStatus):
        self.status = status
        self.first_step, self.first_time = 0, time.monotonic()

    def on_start(self, trainer: Trainer) -> None:
        self.status.max_steps = trainer.max_steps
        self._start_clock(trainer)
        self.status.write("running")

    def _start_clock(self, trainer: Trainer) -> None:
        self.status.step = self.first_step = trainer.step
        self.status.steps_per_second, self.first_time = None, time.monotonic()

    def _measure_speed(self, trainer: Trainer) -> None:
        self.status.step = trainer.step
        if trainer.step > self.first_step:
            self.status.steps_per_second = (trainer.step - self.first_step) / (time.monotonic() - self.first_time)

    def on_step_end(self, trainer: Trainer) -> None:
        self.status.step = trainer.step

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        if trainer.step < self.status.step:  # after a rollback
            self._start_clock(trainer)
        self._measure_speed(trainer)
        if time.monotonic() - self.status.written > _SECONDS_BETWEEN_WRITES:
            self.status.write("running")

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._measured("validation", metrics)

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        self._measured("evaluation", {name: entry["value"] for name, entry in entries.items()})

    def _measured(self, kind: str, values: dict[str, float]) -> None:
        """Replace the values of this kind by those that are finite; an earlier one is not the latest."""
        others = {name: value for name, value in self.status.final.items() if not name.startswith(f"{kind}/")}
        finite = {f"{kind}/{name}": value for name, value in values.items() if math.isfinite(value)}
        self.status.final = others | finite

    def on_alarm(self, trainer: Trainer, alarm: Alarm) -> None:
        self.status.alarms.append(asdict(alarm))
        self._measure_speed(trainer)
        self.status.write("running")

    def on_finish(self, trainer: Trainer) -> None:
        self._measure_speed(trainer)

    def state_dict(self) -> dict:
        return self.status.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self.status.load_state_dict(state)
