"""`status.json`: what a run is doing, for people and for programs that watch it."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from genlab.callbacks.base import Callback
from genlab.callbacks.watch import Alarm
from genlab.files import replace_text
from genlab.training.trainer import Trainer

_SECONDS_BETWEEN_WRITES = 5


class Status(Callback):
    """Keeps `path` at the run's state (running, finished, failed, interrupted), last step, speed, reason and alarms."""

    def __init__(self, path: Path):
        self.path = path
        self.final: dict[str, float] = {}
        self.alarms: list[dict] = []
        self.step = 0
        self.first_step = 0
        self.first_time = self.written = time.monotonic()

    def start(self, trainer: Trainer) -> None:
        self._start_clock(trainer)
        self.write("running", trainer)

    def _start_clock(self, trainer: Trainer) -> None:
        self.first_step, self.first_time = trainer.step, time.monotonic()

    def stepped(self, trainer: Trainer) -> None:
        self.step = trainer.step

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        if trainer.step < self.step:  # the run went back
            self._start_clock(trainer)
        self.step = trainer.step
        if time.monotonic() - self.written > _SECONDS_BETWEEN_WRITES:
            self.write("running", trainer)

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.final |= {f"validation/{name}": value for name, value in metrics.items()}

    def evaluated(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        self.final |= {f"evaluation/{name}": entry["value"] for name, entry in entries.items()}

    def alarmed(self, trainer: Trainer, alarm: Alarm) -> None:
        self.alarms.append(asdict(alarm))
        self.write("running", trainer)

    def write(self, state: str, trainer: Trainer | None, reason: str | None = None) -> None:
        """Replace the file at once, so that a reader never meets half of one."""
        entry = {
            "status": state,
            "step": trainer.step if trainer else self.step,
            "reason": reason,
            "process": os.getpid(),
        }
        if trainer:
            entry["max_steps"] = trainer.max_steps
        if trainer and trainer.step > self.first_step:
            rate = (trainer.step - self.first_step) / (time.monotonic() - self.first_time)
            entry |= {
                "steps_per_second": round(rate, 3),
                "seconds_left": round((trainer.max_steps - trainer.step) / rate),
            }
        text = json.dumps({**entry, "alarms": self.alarms, "final": self.final}, indent=2)
        replace_text(self.path, text, durable=state != "running")
        self.written = time.monotonic()

    def state_dict(self) -> dict:
        return {"alarms": list(self.alarms), "final": dict(self.final)}

    def go_on(self, state: dict) -> None:
        """What is known of a run whose `state`, of a checkpoint, is yet to be loaded."""
        self.step = state["step"]
        self.load_state_dict(state["callbacks"]["Status"])

    def load_state_dict(self, state: dict) -> None:
        """Going back to an earlier state forgets no alarm."""
        self.final = dict(state["final"])
        self.alarms = state["alarms"] + [alarm for alarm in self.alarms if alarm not in state["alarms"]]
