"""A logger and a callback of one's own."""

from genlab.callbacks.logger import Logger, RunRecord
from genlab.training.callback import Callback


class TextLog(Logger):
    """Writes a line for each scalar to a file in the run folder. file: its name."""

    def __init__(self, run: RunRecord, *, file: str = "scalars.txt"):
        self.path = run.folder.path / file

    def scalars(self, values: dict[str, float], step: int) -> None:
        with self.path.open("a") as file:
            file.writelines(f"{step} {name} {value:.4g}\n" for name, value in values.items())


class Target(Callback):
    """Ends the run once a validation metric is small enough. metric: its name; at_most: small enough."""

    def __init__(self, *, metric: str = "error", at_most: float = 0.0):
        self.metric, self.at_most = metric, at_most

    def on_validate(self, trainer, metrics):
        if metrics[self.metric] <= self.at_most:
            trainer.stop_reason = f"validation/{self.metric} is at most {self.at_most}"
