"""Checkpoints every so many steps: `step_*.pt` (the last few), `last.pt`, and `best.pt` by a chosen metric."""

import math
from collections.abc import Iterable
from pathlib import Path

from genlab.callbacks.base import Callback, at_end, due
from genlab.training import checkpoint, distributed
from genlab.training.scalars import TrainingDiverged
from genlab.training.trainer import Trainer

_BEFORE_END = "best_before_end.pt"
"""What was best.pt before the run's end measured once more."""


class Checkpoints(Callback):
    """Stands after Validation and Previews, so that what it saves holds their outcome; in every process, as each adds
    to the state that process 0 writes.

    constants: entries that every checkpoint of the run carries (config, data spec).
    best_metric: which chooses `best.pt`, as "validation/NAME" or "evaluation/NAME"; None for the model's first metric.
    """

    def __init__(self, folder: Path, every: int | None, keep: int, constants: dict, best_metric: str | None = None):
        self.folder, self.every, self.keep, self.constants = folder, every, keep, constants
        self.best_metric = best_metric
        self.writes = distributed.rank() == 0
        self.best = -math.inf
        self.improved = False
        self.saved: int | None = None  # the step of last.pt

    def start(self, trainer: Trainer) -> None:
        if self.writes:
            self._clear()

    def _clear(self) -> None:
        """Take away what the state gone on from knows nothing of."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob(".*.tmp"):  # by a process that was killed
            left.unlink()
        best, before_end = self.folder / "best.pt", self.folder / _BEFORE_END
        if self.best == -math.inf:  # nothing was measured by now but at the end
            best.unlink(missing_ok=True)
        elif before_end.exists():
            before_end.replace(best)

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        ranks = trainer.model.metrics
        kind, _, wanted = (self.best_metric or "validation/").partition("/")
        if kind == "validation":
            ranked = [name for name in ([wanted] if wanted else ranks) if name in metrics]
            if wanted and not ranked:
                self._refuse(metrics)
            if ranked:
                self._rank(metrics[ranked[0]], ranks[ranked[0]])

    def evaluated(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        kind, _, wanted = (self.best_metric or "").partition("/")
        if kind == "evaluation":
            ranked = [name for name, entry in entries.items() if entry["best"]]
            if wanted not in ranked:
                self._refuse(ranked)
            self._rank(entries[wanted]["value"], entries[wanted]["best"])

    def _rank(self, value: float, direction: str) -> None:
        score = value if direction == "max" else -value
        self.improved = math.isfinite(score) and score > self.best  # NaN and infinity would stay the best for ever
        if self.improved:
            self.best = score

    def _refuse(self, measured: Iterable[str]) -> None:
        raise ValueError(f"trainer.best_metric={self.best_metric}: not measured here; there are {', '.join(measured)}")

    def stepped(self, trainer: Trainer) -> None:
        regular = due(trainer, self.every) or at_end(trainer)
        if (regular or self.improved) and not self._awaits_refusal(trainer):
            if regular:
                self._keep(trainer)
            else:
                self._save(trainer, self.folder / "best.pt")
        self.improved = False

    def ending(self, trainer: Trainer) -> None:
        best = self.folder / "best.pt"
        if self.improved and self.writes:  # by a measurement that only the end asked for: a longer run takes it back
            if best.exists():
                checkpoint.link(best, self.folder / _BEFORE_END)
            checkpoint.link(self.folder / "last.pt", best)

    def interrupted(self, trainer: Trainer) -> None:
        if trainer.step != self.saved:
            self._save(trainer, self.folder / "last.pt")

    @staticmethod
    def _awaits_refusal(trainer: Trainer) -> bool:
        """Whether the row of metrics to come will be refused, in all processes alike: nothing is kept until then."""
        return not at_end(trainer) and not trainer.window.finite()

    def _keep(self, trainer: Trainer) -> None:
        numbered = self.folder / f"step_{trainer.step:07d}.pt"
        self._save(trainer, numbered)
        self.saved = trainer.step
        if not self.writes:
            return
        if self.improved:  # before last.pt, which knows of it
            checkpoint.link(numbered, self.folder / "best.pt")
        checkpoint.link(numbered, self.folder / "last.pt")
        for old in checkpoint.numbered(self.folder)[: -self.keep or None]:
            old.unlink()

    def _save(self, trainer: Trainer, path: Path) -> None:
        state = trainer.state_dict()
        for name, value in state["model"].items():
            if not value.isfinite().all():  # the loss of the next step would tell, but then this file would be spoilt
                raise TrainingDiverged(f"weight {name} became infinite or NaN by step {trainer.step}")
        if self.writes:
            trainer.emit("saving")
            checkpoint.save({**self.constants, **state}, path)

    def state_dict(self) -> dict:
        return {"best": self.best}

    def load_state_dict(self, state: dict) -> None:
        self.best = state["best"]
