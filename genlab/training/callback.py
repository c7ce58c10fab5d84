"""Callbacks: hooks that the trainer calls on its events."""

import math
from typing import Any, ClassVar

from genlab.training.trainer import Trainer


class Callback:
    """Base of all callbacks; each hook does nothing unless overridden. Only process 0 writes files.

    key: stable name of the callback in checkpoints and in `status.json`.
    `state_dict` is stored in checkpoints, for callbacks whose decisions depend on the past.
    """

    key: ClassVar[str]

    def on_start(self, trainer: Trainer) -> None:
        """Training is about to begin or to resume."""

    def on_rehearse(self, trainer: Trainer, metrics: list[str]) -> None:
        """Names of the metrics that `on_validate` will be called with, before training begins or resumes."""

    def extra_metrics(self, trainer: Trainer, row: dict[str, float]) -> dict[str, float]:
        """Metrics to add to a row that is due by `trainer.log_every`, before `on_log` is called with it. Not called for
        the additional row at the end of a run and the one after a rollback."""
        return {}

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        """A row of metrics is ready: every `trainer.log_every` steps, at the end of the run and after a rollback.

        After a rollback a row holds only `step`, the step that training returned to, and `rollback`, the step that it
        left.
        """

    def on_rollback(self, trainer: Trainer) -> None:
        """Training continues from an earlier state; the row that reports it has been logged."""

    def on_step_end(self, trainer: Trainer) -> None:
        """A step has ended; `trainer.step` includes it."""

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """The validation split was measured."""

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        """Sample quality was measured: entries by metric name, as returned by `genlab.evaluation.evaluate`."""

    def on_alarm(self, trainer: Trainer, alarm: Any) -> None:
        """Something went wrong: an `Alarm` of `genlab.callbacks.watch`."""

    def on_preview(self, trainer: Trainer, images: dict[str, Any]) -> None:
        """The model's image grids are ready: a `Png` of `genlab.media.images` by name."""

    def on_save(self, trainer: Trainer) -> None:
        """A checkpoint is about to be written by this process: flush rows and images of the steps before it."""

    def on_last_step(self, trainer: Trainer) -> None:
        """The last step is done and saved: measure what was not due at it, without changing `state_dict`."""

    def on_finish(self, trainer: Trainer) -> None:
        """Training has ended by itself, and all measurements are done."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """A signal ended training at this step."""

    def on_close(self, trainer: Trainer) -> None:
        """The run is over, however it ended: release files and the terminal."""

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class Measurement(Callback):
    """A measurement every `every` steps (None: only at the end), and at the end in any case."""

    def __init__(self, every: int | None):
        self.every = every

    def on_step_end(self, trainer: Trainer) -> None:
        if self.due(trainer):
            self.measure(trainer)

    def on_last_step(self, trainer: Trainer) -> None:
        if not self.due(trainer):
            self.measure(trainer)

    def due(self, trainer: Trainer) -> bool:
        """Whether to measure after this step, which must follow from its number: a resumed run repeats the same."""
        return is_due(trainer, self.every)

    def measure(self, trainer: Trainer) -> None:
        """Measure, and notify all callbacks. Slow work belongs in `inference(trainer, interruptible=True)`."""
        raise NotImplementedError


def is_due(trainer: Trainer, every: int | None) -> bool:
    """Whether something that happens every `every` steps (None: only at the end) is due after this step."""
    return every is not None and trainer.step % every == 0


def score_of(value: float, direction: str) -> float:
    """`value` so that higher is better; minus infinity for NaN and infinity, which would stay the best forever."""
    score = value if direction == "max" else -value
    return score if math.isfinite(score) else -math.inf


def at_end(trainer: Trainer) -> bool:
    """Whether this step is the last one."""
    return trainer.step == trainer.max_steps or trainer.stop_reason is not None
