"""What a run says while it trains: a progress bar or lines, validations, evaluations, and how long it will take."""

import logging
import sys
import time
from typing import Any

from tqdm import tqdm

from genlab.system.logs import IN_FILE
from genlab.system.progress import Pace
from genlab.system.text import rounded, time_in_words
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_LAYOUT = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {rate_fmt} {remaining} left{postfix}"
_AROUND = 46
"""Columns of the layout without the numbers of steps and the losses: its words, and a bar of ten."""

_SHORT = 5
"""Letters of a name where whole ones do not fit."""

_STEPS, _SECONDS = 100, 5.0
"""After so many steps, or so much time, a run says how long it will take; the first step is not counted."""


class Console(Callback):
    """A tqdm bar on standard error with the losses that fit; lines of the log if that is not a terminal."""

    key = "console"

    def on_start(self, trainer: Trainer) -> None:
        self.losses: dict[str, float] = {}
        self.pace = Pace(trainer.max_steps, trainer.step)
        self.bar: tqdm | None = None
        if sys.stderr.isatty():
            form = {"bar_format": _LAYOUT, "unit": "step", "dynamic_ncols": True, "mininterval": 0.2}
            self.bar = tqdm(total=trainer.max_steps, initial=trainer.step, **form)

    def on_step_end(self, trainer: Trainer) -> None:
        if self.bar is not None:
            self.bar.update(trainer.step - self.bar.n)  # negative after a rollback
        elif self.pace.is_due():
            step, pace = trainer.step, self.pace
            speed = f"{rounded(pace.rate(step))} steps/s"
            words = f"step {step}/{trainer.max_steps}", pace.share(step), speed, pace.left(step), *shown(self.losses)
            log.info("  ".join(words))

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        if "rollback" in row:
            self.pace = Pace(trainer.max_steps, trainer.step)
            return
        terms = {name.removeprefix("train/"): value for name, value in row.items() if name.startswith("train/")}
        # Of several players, the losses alone.
        own = {name: value for name, value in terms.items() if "/" not in name or name.endswith("/loss")}
        self.losses = {name.removesuffix("/loss"): value for name, value in own.items()}
        if self.bar is not None:
            width = (self.bar.format_dict["ncols"] or 80) - _AROUND - 2 * len(str(trainer.max_steps))
            self.bar.set_postfix_str("  ".join(shown(self.losses, width)), refresh=False)

    def on_close(self, trainer: Trainer) -> None:
        if bar := getattr(self, "bar", None):
            bar.close()


def shown(losses: dict[str, float], width: int | None = None) -> list[str]:
    """As many of the losses, by name, as `width` columns hold; under short names if not all do so under their own."""
    words = [f"{name} {rounded(value, 4)}" for name, value in losses.items()]
    if width is None or sum(len(word) + 2 for word in words) <= width:
        return words
    words = [f"{name[:_SHORT]} {rounded(value)}" for name, value in losses.items()]
    while words and sum(len(word) + 2 for word in words) > width:
        words.pop()
    return words


class Journal(Callback):
    """Logs validations and evaluations, how long the run will take, and its end. shown: on the console as well."""

    key = "journal"

    def __init__(self, shown: bool):
        self.extra = None if shown else IN_FILE

    def on_start(self, trainer: Trainer) -> None:
        self.begin, self.told = time.monotonic(), False
        self.pace: Pace | None = None

    def on_step_end(self, trainer: Trainer) -> None:
        if self.told:
            return
        if self.pace is None:
            self.pace = Pace(trainer.max_steps, trainer.step)
        elif trainer.step >= self.pace.first + _STEPS or self.pace.seconds > _SECONDS:
            self.told = True
            rate = self.pace.rate(trainer.step)
            self._say(f"time       about {self.pace.left(trainer.step)}, at {rounded(rate)} steps/s")

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if metrics:
            self._say(f"step {trainer.step}: validation  {_values(metrics)}")

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        values = _values({name: entry["value"] for name, entry in entries.items()})
        self._say(f"step {trainer.step}: evaluation  {values}")

    def on_finish(self, trainer: Trainer) -> None:
        reason = f" ({trainer.stop_reason})" if trainer.stop_reason else ""
        seconds = time.monotonic() - self.begin
        self._say(f"step {trainer.step}: finished after {time_in_words(seconds)}{reason}")

    def _say(self, line: str) -> None:
        log.info(line, extra=self.extra)


def _values(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {rounded(value, 4)}" for name, value in metrics.items())
