"""What happens beside training: a callback is told of events and looks at the trainer."""

from genlab.training.trainer import Trainer


class Callback:
    """Base of all callbacks; each event does nothing unless overridden. Only in process 0 do they write.

    `state_dict` is kept in checkpoints for callbacks whose decisions depend on the past.
    """

    def start(self, trainer: Trainer) -> None:
        """Training is about to begin or to continue."""

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        """A row of metrics is ready, every `trainer.log_every` steps.

        A callback may add to it what it measured; those that write rows stand behind. Where training went back to an
        earlier state, a row holds nothing but that state's `step` and `rollback`, the step that was left.
        """

    def went_back(self, trainer: Trainer) -> None:
        """Training goes on from an earlier state, and the row that says so is written."""

    def stepped(self, trainer: Trainer) -> None:
        """A step has ended; `trainer.step` counts it."""

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """The validation split was measured."""

    def evaluated(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        """Sample quality was measured: entries by metric's name, as `genlab.evaluation.evaluate` gives them."""

    def alarmed(self, trainer: Trainer, alarm: "Alarm") -> None:  # noqa: F821
        """Something went wrong, as `genlab.callbacks.watch` tells."""

    def previewed(self, trainer: Trainer, pictures: dict[str, "Png"]) -> None:  # noqa: F821
        """The model's picture grids are ready, by name, as PNG files."""

    def saving(self, trainer: Trainer) -> None:
        """A checkpoint is about to be written, by this process: rows and pictures of the steps before it belong on the
        disk first."""

    def ending(self, trainer: Trainer) -> None:
        """The last step is done and saved: measure what it was not due for, without a trace in `state_dict`."""

    def finish(self, trainer: Trainer) -> None:
        """Training has ended by itself, and all is measured."""

    def interrupted(self, trainer: Trainer) -> None:
        """A signal ended training at this step."""

    def close(self, trainer: Trainer) -> None:
        """The run is over, however it ended: let go of files and of the terminal."""

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class Measurement(Callback):
    """Something that is done every so many steps (None: only at the end), and at the end in any case."""

    def __init__(self, every: int | None):
        self.every = every

    def stepped(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            self.measure(trainer)

    def ending(self, trainer: Trainer) -> None:
        if not due(trainer, self.every):
            self.measure(trainer)

    def measure(self, trainer: Trainer) -> None:
        """Do it and tell all callbacks. What takes long stands in `trainer.inference(breakable=True)`."""
        raise NotImplementedError


def due(trainer: Trainer, every: int | None) -> bool:
    """Whether something that happens `every` so many steps (None: only at the end) happens after this step."""
    return every is not None and trainer.step % every == 0


def at_end(trainer: Trainer) -> bool:
    """Whether this step is the last one."""
    return trainer.step == trainer.max_steps or trainer.stop_reason is not None
