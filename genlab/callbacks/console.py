"""The progress bar: steps, speed and the main losses."""

import sys

from tqdm import tqdm

from genlab.training.callback import Callback
from genlab.training.trainer import Trainer


class Console(Callback):
    """A tqdm bar on standard error; a line every 10 seconds if that is not a terminal."""

    key = "console"

    def on_start(self, trainer: Trainer) -> None:
        interactive = sys.stderr.isatty()
        self.bar = tqdm(
            total=trainer.max_steps,
            initial=trainer.step,
            unit="step",
            dynamic_ncols=True,
            mininterval=0.2 if interactive else 10,
            maxinterval=10 if interactive else 30,
        )

    def on_step_end(self, trainer: Trainer) -> None:
        self.bar.update(trainer.step - self.bar.n)  # negative after a rollback

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        terms = {name.removeprefix("train/"): value for name, value in row.items() if name.startswith("train/")}
        # One player's terms fit into a line; with several players only the losses do.
        shown = {name: f"{value:.4g}" for name, value in terms.items() if "/" not in name or name.endswith("/loss")}
        self.bar.set_postfix(shown, refresh=False)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        if values:
            self.bar.write(f"step {trainer.step}: validation  {values}", file=sys.stderr)

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        values = "  ".join(f"{name} {entry['value']:.4g}" for name, entry in entries.items())
        self.bar.write(f"step {trainer.step}: evaluation  {values}", file=sys.stderr)

    def on_close(self, trainer: Trainer) -> None:
        if hasattr(self, "bar"):
            self.bar.close()
