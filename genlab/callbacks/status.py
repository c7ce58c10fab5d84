"""`status.json`: what a run is doing, for people and for programs that watch it."""

import json
import os
import time
from pathlib import Path

from genlab.callbacks.base import Callback
from genlab.training.trainer import Trainer

_SECONDS_BETWEEN_WRITES = 5


class Status(Callback):
    """Keeps `path` at the run's state (running, finished, failed, interrupted), last step, speed and reason."""

    def __init__(self, path: Path):
        self.path = path
        self.final: dict[str, float] = {}
        self.step = 0
        self.written = 0.0

    def start(self, trainer: Trainer) -> None:
        self.first_step, self.first_time = trainer.step, time.monotonic()
        self.write("running", trainer)

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.step = trainer.step
        if time.monotonic() - self.written > _SECONDS_BETWEEN_WRITES:
            self.write("running", trainer)

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.final = {f"validation/{name}": value for name, value in metrics.items()}

    def write(self, state: str, trainer: Trainer | None, reason: str | None = None) -> None:
        """Replace the file at once, so that a reader never meets half of one."""
        entry = {
            "status": state,
            "step": trainer.step if trainer else self.step,
            "reason": reason,
            "process": os.getpid(),
        }
        if trainer and trainer.step > self.first_step:
            rate = (trainer.step - self.first_step) / (time.monotonic() - self.first_time)
            entry |= {
                "steps_per_second": round(rate, 3),
                "seconds_left": round((trainer.max_steps - trainer.step) / rate),
            }
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({**entry, "final": self.final}, indent=2))
        os.replace(temporary, self.path)
        self.written = time.monotonic()
