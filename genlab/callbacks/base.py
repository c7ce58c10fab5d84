"""What happens beside training: a callback is told of events and looks at the trainer."""

from genlab.training.trainer import Trainer


class Callback:
    """Base of all callbacks; each event does nothing unless overridden. Only process 0 has callbacks that write.

    `state_dict` is kept in checkpoints for callbacks whose decisions depend on the past.
    """

    def start(self, trainer: Trainer) -> None:
        """Training is about to begin or to continue."""

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        """A row of metrics is ready, every `trainer.log_every` steps.

        A callback may add to it what it measured; those that write rows stand behind. Where training went back to an
        earlier state, a row holds nothing but that state's `step` and `rollback`, the step that was left.
        """

    def stepped(self, trainer: Trainer) -> None:
        """A step has ended; `trainer.step` counts it."""

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """The validation split was measured."""

    def evaluated(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        """Sample quality was measured: entries by metric's name, as `genlab.evaluation.evaluate` gives them."""

    def alarmed(self, trainer: Trainer, alarm: "Alarm") -> None:  # noqa: F821
        """Something went wrong, as `genlab.callbacks.watch` tells."""

    def previewed(self, trainer: Trainer, grids: dict[str, "Tensor"]) -> None:  # noqa: F821
        """The model's picture grids [rows, columns, C, H, W] are ready."""

    def finish(self, trainer: Trainer) -> None:
        """Training has ended by itself."""

    def close(self, trainer: Trainer) -> None:
        """The run is over, however it ended: let go of files and of the terminal."""

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


def due(trainer: Trainer, every: int | None) -> bool:
    """Whether something that happens `every` so many steps, and at the end of a run, happens after this step."""
    ending = trainer.step == trainer.max_steps or trainer.stop_reason is not None
    return ending or (every is not None and trainer.step % every == 0)
