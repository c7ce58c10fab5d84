"""The state of a sweep's jobs, read from their folders, wherever they run."""

import math
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from genlab.checkpoints.folder import JobFolder
from genlab.config.sweeping import Plan
from genlab.system.files import csv_text, replace_text
from genlab.system.small_files import read_json

_DAMAGE = (ValueError, TypeError, KeyError, AttributeError)


@dataclass
class State:
    """The state of one job.

    status: waiting, running (also if it was interrupted), finished or failed. done: completed fraction of its steps.
    settings: values of the keys that the sweep varies. final: its metrics so far, those that are finite.
    """

    number: int
    status: str = "waiting"
    step: int = 0
    done: float = 0.0
    steps_per_second: float | None = None
    reason: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ("finished", "failed")

    @property
    def title(self) -> str:
        """Its settings in brackets."""
        settings = " ".join(f"{key}={value}" for key, value in self.settings.items())
        return f" ({settings})" if settings else ""


class Overview:
    """The jobs of a sweep.

    metric, direction: what ranks them; None if nothing does. done: numbers of the jobs that have finished already. All
    others count only after they start in this launch. same_data: whether values of different jobs can be compared.
    """

    def __init__(
        self,
        plan: Plan,
        metric: str | None,
        direction: str | None,
        done: Collection[int] = (),
        same_data: bool = True,
    ):
        self.folder, self.varied, self.metric, self.direction = plan.folder, plan.varied, metric, direction
        self.same_data = same_data
        jobs, self._done = range(plan.total), frozenset(done)
        self._before = [{} if number in done else job_record(self.folder.job(number)) for number in jobs]
        self.states = [self._look(number) if number in done else State(number) for number in jobs]

    def update(self) -> list[State]:
        """Read the folders again; returns the jobs that have ended since the last call."""
        ended = []
        for number, before in enumerate(self.states):
            if not before.ended:
                self.states[number] = state = self._look(number)
                if state.ended:
                    ended.append(state)
        return ended

    def count(self, status: str) -> int:
        return sum(state.status == status for state in self.states)

    @property
    def best(self) -> State | None:
        """The finished job with the best value; None if nothing ranks the jobs, or they have different data."""
        finished = (state for state in self.states if state.status == "finished")
        ranked = [(value, state) for state in finished if (value := self.value(state)) is not None]
        if not ranked or self.direction is None or not self.same_data:
            return None
        return (max if self.direction == "max" else min)(ranked, key=lambda pair: pair[0])[1]

    def value(self, state: State) -> float | None:
        """The ranking metric's value, None if it is missing."""
        return state.final.get(self.metric or "")

    def write(self) -> None:
        """Write all launched jobs to `summary.csv`, one line each."""
        measured = dict.fromkeys(name for state in self.states for name in state.final)
        metrics = sorted(measured, key=lambda name: name != self.metric)
        rows: list[list[Any]] = [["job", "state", "step", "steps_per_second", *self.varied, *metrics, "reason"]]
        for state in self.states:
            if state.status != "waiting":
                about = [state.number, state.status, state.step, state.steps_per_second]
                settings = [state.settings.get(key) for key in self.varied]
                rows.append([*about, *settings, *(state.final.get(name) for name in metrics), state.reason])
        replace_text(self.folder.summary, csv_text(rows), durable=False)

    def _look(self, number: int) -> State:
        folder = self.folder.job(number)
        record = job_record(folder)
        if not record or record.get("begun") == self._before[number].get("begun"):
            return State(number)
        given = dict(re.split("=", text.lstrip("+"), maxsplit=1) for text in record["overrides"] if "=" in text)
        state = State(number, "running", settings={key: given[key] for key in self.varied if key in given})
        with suppress(*_DAMAGE):
            status = read_json(folder.status)
            state.step, state.reason = int(status["step"]), status["reason"]
            final = {name: float(value) for name, value in status["final"].items() if value is not None}
            state.final = {name: value for name, value in final.items() if math.isfinite(value)}
            state.steps_per_second = status.get("steps_per_second")
            if record["ended"] or number in self._done:
                state.status = status["status"]
            elif status["status"] == "running":
                state.done = state.step / max(1, status.get("max_steps", math.inf))
        if record.get("failed") and number not in self._done:  # it may have been resumed by itself
            state.status, state.reason = "failed", str(record["failed"])
        return state


def job_record(folder: JobFolder) -> dict:
    """The record of a job's last launch; empty if it was not launched."""
    with suppress(ValueError):
        record = read_json(folder.record)
        overrides = record.get("overrides") if isinstance(record, dict) else None
        if isinstance(overrides, list) and all(isinstance(line, str) for line in overrides):
            return record
    return {}
