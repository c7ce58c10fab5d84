"""`status.json`: the state of a run, for people and for monitoring programs. Imports nothing slow."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.lock import is_locked
from genlab.system.files import replace_text
from genlab.system.small_files import json_text, read_json


class RunStatus:
    """The content of `status.json`.

    state, reason: those last written.
    directions: "min" or "max" by full metric name ("validation/elbo"); the first one ranks the model's runs.
    final: latest value of every validation and evaluation metric, if it is finite. alarms: as plain dicts.
    """

    def __init__(self, path: Path, directions: Mapping[str, str]):
        self.path, self.directions = path, dict(directions)
        self.state = "running"
        self.reason: str | None = None
        self.step = 0
        self.max_steps: int | None = None
        self.steps_per_second: float | None = None
        self.final: dict[str, float] = {}
        self.alarms: list[dict[str, Any]] = []
        self.written = time.monotonic()

    def write(self, state: str, reason: str | None = None) -> None:
        """Replace the file atomically; `state`: running, finished, failed or interrupted."""
        self.state, self.reason = state, reason
        entry = {"status": state, "step": self.step, "reason": reason, "process": os.getpid()}
        if self.max_steps is not None:
            entry["max_steps"] = self.max_steps
            if self.steps_per_second:
                entry["steps_per_second"] = round(self.steps_per_second, 3)
                entry["seconds_left"] = round((self.max_steps - self.step) / self.steps_per_second)
        entry |= {"alarms": self.alarms, "final": self.final, "directions": self.directions}
        replace_text(self.path, json_text(entry, indent=2), durable=state != "running")
        self.written = time.monotonic()

    def state_dict(self) -> dict:
        return {"alarms": list(self.alarms), "final": dict(self.final)}

    def load_state_dict(self, state: dict) -> None:
        """Load an earlier state; alarms raised since then are kept."""
        self.final = dict(state["final"])
        self.alarms = state["alarms"] + [alarm for alarm in self.alarms if alarm not in state["alarms"]]


def read_status(folder: RunFolder) -> dict:
    """Read `status.json`. The status is "killed" if it says "running" but no process is. `ValueError` if unreadable."""
    status = read_json(folder.status)
    if not isinstance(status, dict):
        raise ValueError(f"{folder}: its status.json is damaged or of another version")
    killed = status.get("status") == "running" and not is_locked(folder.path)
    return status | {"status": "killed"} if killed else status


def state_of(folder: RunFolder) -> str | None:
    """The run's state as one word, None if unknown."""
    try:
        return read_status(folder).get("status")
    except ValueError:
        return None
