"""Periodic checkpoints: those of the most recent steps, the last one, and the best one by a chosen metric."""

import logging
import math
from pathlib import Path
from typing import Any

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.rotation import link, make_last
from genlab.system import distributed
from genlab.system.files import check_room
from genlab.training.callback import Callback, at_end, is_due, score_of
from genlab.training.scalars import TrainingDiverged
from genlab.training.state import state_dict
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")


class Checkpoints(Callback):
    """Runs after Validation and Previews, so that checkpoints include their results. Runs in every process, as each
    contributes to the state that process 0 writes.

    constants: entries of every checkpoint of the run (config, data spec).
    best_metric: selects the best one: "validation/NAME" or "evaluation/NAME"; None for the model's first metric.
    """

    key = "checkpoints"

    def __init__(
        self, folder: RunFolder, every: int | None, keep: int, constants: dict[str, Any], best_metric: str | None = None
    ):
        self.folder, self.every, self.keep, self.constants = folder, every, keep, constants
        self.best_metric = best_metric
        self.writes = distributed.rank() == 0
        self.best = -math.inf
        self.improved = False
        self.saved: int | None = None  # the step of the last checkpoint

    def on_start(self, trainer: Trainer) -> None:
        """Delete what a killed process left, and undo a best checkpoint that only the end of the run chose."""
        if not self.writes:
            return
        self.folder.checkpoints.mkdir(exist_ok=True)
        weights = sum(value.nbytes for value in trainer.model.state_dict().values())
        check_room(self.folder.checkpoints, "a checkpoint", weights)  # the first may be due only after hours
        for left in (*self.folder.checkpoints.glob(".*.tmp"), *self.folder.checkpoints.glob(".tmp*")):
            left.unlink()  # half-written by a killed process: ours, or the library's
        if self.best == -math.inf:  # the only measurement so far was at the end of the run
            self.folder.best.unlink(missing_ok=True)
        elif self.folder.best_before_end.exists():
            self.folder.best_before_end.replace(self.folder.best)

    def on_rehearse(self, trainer: Trainer, metrics: list[str]) -> None:
        kind, _, wanted = (self.best_metric or "").partition("/")
        if kind == "validation" and wanted not in metrics:
            measured = ", ".join(metrics)
            raise ValueError(f"trainer.best_metric={self.best_metric}: not measured here; there are {measured}")
        if not kind and self.writes and trainer.model.metrics.keys().isdisjoint(metrics):
            log.info("no best checkpoint: %s measures nothing here that ranks it", type(trainer.model).__name__)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        directions = trainer.model.metrics
        kind, _, wanted = (self.best_metric or "validation/").partition("/")
        if kind == "validation":
            ranked = [name for name in ([wanted] if wanted else directions) if name in metrics]
            if ranked:
                self._rank(metrics[ranked[0]], directions[ranked[0]])

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        """An evaluation without the metric, which may have failed, has no best checkpoint."""
        kind, _, wanted = (self.best_metric or "").partition("/")
        if kind == "evaluation" and wanted in entries:
            self._rank(entries[wanted]["value"], entries[wanted]["direction"])

    def _rank(self, value: float, direction: str) -> None:
        score = score_of(value, direction)
        self.improved = score > self.best
        self.best = max(self.best, score)

    def on_step_end(self, trainer: Trainer) -> None:
        regular = is_due(trainer, self.every) or at_end(trainer)
        if (regular or self.improved) and not self._will_diverge(trainer):
            if regular:
                self._keep(trainer)
            else:
                self._save(trainer, self.folder.best)
        self.improved = False

    def on_last_step(self, trainer: Trainer) -> None:
        if self.improved and self.writes:  # by a measurement only at the end: a longer run undoes it
            if self.folder.best.exists():
                link(self.folder.best, self.folder.best_before_end)
            link(self.folder.last, self.folder.best)

    def on_rollback(self, trainer: Trainer) -> None:
        self._save(trainer, self.folder.last)  # so that the run resumes from here
        self.saved = trainer.step
        if self.writes:
            make_last(self.folder.last, trainer.step)

    def on_interrupt(self, trainer: Trainer) -> None:
        if trainer.step != self.saved:
            self._save(trainer, self.folder.last)

    @staticmethod
    def _will_diverge(trainer: Trainer) -> bool:
        """Whether the next row of metrics will raise `TrainingDiverged`, in all processes: save nothing before it."""
        return not at_end(trainer) and not trainer.metric_window.finite()

    def _keep(self, trainer: Trainer) -> None:
        numbered = self.folder.numbered(trainer.step)
        self._save(trainer, numbered)
        self.saved = trainer.step
        if not self.writes:
            return
        if self.improved:  # before the last checkpoint, whose state includes it
            link(numbered, self.folder.best)
        link(numbered, self.folder.last)
        for old in self.folder.all_numbered()[: -self.keep or None]:
            old.unlink()

    def _save(self, trainer: Trainer, path: Path) -> None:
        state = state_dict(trainer)
        for name, value in (*state["model"].items(), *state["ema"].items()):
            if not value.isfinite().all():  # the next loss would show it, but too late for this file
                raise TrainingDiverged(f"weight {name} became infinite or NaN by step {trainer.step}")
        if self.writes:
            trainer.emit("on_save")
            checkpoint.save({**self.constants, **state}, path)

    def state_dict(self) -> dict:
        return {"best": self.best}

    def load_state_dict(self, state: dict) -> None:
        self.best = state["best"]
