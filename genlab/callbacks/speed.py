"""Says in the log when training has slowed down because other processes took the cores."""

import logging
import os
import time
from collections import deque
from statistics import median
from typing import Any

from genlab.checkpoints.folder import RunFolder
from genlab.system import spin
from genlab.system.distributed import world
from genlab.system.neighbours import NOTICEABLE, Neighbours
from genlab.system.text import shell_line
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_SECONDS = 2.0
"""Seconds of training, without measurements, over which a speed is taken."""

_RECENT, _ENOUGH = 40, 5
"""Number of recent speeds for the median, and the minimum number."""

_SLOW, _RECOVERED = 0.5, 0.75
"""Fractions of the median."""


class Speed(Callback):
    """Reports once that the speed has fallen to half of its median while others took cores, and again only after it had
    recovered. threads: of this process. Time is taken from row to row; measurements in between do not count."""

    key = "speed"

    def __init__(self, folder: RunFolder, threads: int):
        self.folder, self.threads = folder, threads
        self.processes = int(os.environ.get("LOCAL_WORLD_SIZE", world()))
        self.neighbours = Neighbours(self.processes)
        self.speeds: deque[float] = deque(maxlen=_RECENT)
        self.told = False

    def on_start(self, trainer: Trainer) -> None:
        self.steps, self.seconds, self.taken = 0, 0.0, 0.0
        self._begin(trainer)

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        seconds, others = time.monotonic() - self.begin, self.neighbours.look()
        if trainer.step > self.first:  # not after a rollback
            self.steps += trainer.step - self.first
            self.seconds += seconds
            self.taken += others * seconds
        if self.seconds >= _SECONDS:
            self._judge(trainer.step, self.steps / self.seconds, self.taken / self.seconds)
            self.steps, self.seconds, self.taken = 0, 0.0, 0.0
        self._begin(trainer)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._begin(trainer)

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        self._begin(trainer)

    def on_preview(self, trainer: Trainer, images: dict[str, Any]) -> None:
        self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        self.first, self.begin = trainer.step, time.monotonic()
        self.neighbours.look()

    def _judge(self, step: int, speed: float, others: float) -> None:
        usual = median(self.speeds) if len(self.speeds) >= _ENOUGH else 0.0
        idle = max(0, self.neighbours.capacity - self.threads * self.processes)
        if speed <= _SLOW * usual and others > idle + NOTICEABLE and not self.told:
            self.told = True
            log.info(
                "step %d: %.3g steps/s, usually %.3g: other processes take %.1f of %d cores; %s",
                *(step, speed, usual, others, self.neighbours.capacity, self._way_out()),
            )
        elif speed > _RECOVERED * usual:
            self.told = False
        self.speeds.append(speed)

    def _way_out(self) -> str:
        if self.threads > 1 and spin.spins():
            again = shell_line("genlab", "resume", f"run={self.folder}", "device.spin=off")
            unset = f"unset {own.partition('=')[0]}, " if (own := spin.own_setting()) else ""
            return f"end them, or stop this run, {unset}and continue it by {again}"
        return "end them, or wait for them"
