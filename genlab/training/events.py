"""Notifies callbacks in order; after an interruption, only those that were not notified of the step yet."""

from collections.abc import Sequence
from typing import Any

from genlab.system.signals import Interrupted


class Events:
    """Notifies `callbacks` (`genlab.training.callback.Callback`) of what happens in training."""

    def __init__(self, callbacks: Sequence[Any] = ()):
        self.callbacks = callbacks
        self.notified: list[str] | None = None
        """Keys of the callbacks that had been notified of this step when a signal interrupted a later one."""

    def emit(self, trainer: Any, event: str, *arguments: Any) -> None:
        """Call the hook `event` ("on_log", ...) of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(trainer, *arguments)

    def log(self, trainer: Any, row: dict[str, float]) -> None:
        """Add the callbacks' metrics to a row of training metrics, then notify all callbacks of it."""
        for callback in self.callbacks:
            row |= callback.extra_metrics(trainer, row)
        self.emit(trainer, "on_log", row)

    def end_step(self, trainer: Any) -> None:
        """Notify callbacks that a step has ended, except those notified before an interruption."""
        before, self.notified = self.notified or [], None
        for place, callback in enumerate(self.callbacks):
            if callback.key in before:
                continue
            try:
                callback.on_step_end(trainer)
            except Interrupted:
                self.notified = [earlier.key for earlier in self.callbacks[:place]]
                raise

    def state_dict(self) -> dict[str, dict]:
        return {callback.key: callback.state_dict() for callback in self.callbacks}

    def load_state_dict(self, state: dict[str, dict]) -> None:
        for callback in self.callbacks:
            if (own := state.get(callback.key)) is not None:  # None: a callback that was off when the state was saved
                callback.load_state_dict(own)
