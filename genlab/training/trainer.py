"""The training loop of all models. A model yields `Update(player, loss)`; everything else happens here."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from genlab.contract.data import Batch
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import DeviceConfig, TrainerConfig
from genlab.data.loading import Loader
from genlab.system import distributed
from genlab.system.seeding import mix, seed_device
from genlab.system.signals import Interrupted, Interruption
from genlab.training.ema import MovingAverage
from genlab.training.events import Events
from genlab.training.optimization import Optimization
from genlab.training.scalars import ScalarWindow, TrainingDiverged
from genlab.training.state import load_state_dict


class Trainer:
    """Trains any `GenerativeModel` on batches that are functions of (seed, step).

    schedule: maps progress in (0, 1) to a factor on all learning rates.

    Callbacks control it: `lr_scale` is a factor on all learning rates, setting `stop_reason` ends the run, and setting
    `rollback_state` makes training continue from that state. `on_divergence` is called if a row of metrics is not
    finite. It may set `rollback_state`, identically in all processes; otherwise `TrainingDiverged` ends the run.
    """

    def __init__(
        self,
        model: GenerativeModel,
        optimizers: dict[str, torch.optim.Optimizer],
        schedule: Callable[[float], float],
        train_loader: Loader,
        validation_loader: Loader,
        *,
        settings: TrainerConfig,
        device: DeviceConfig,
        seed: int,
    ):
        self.model, self.schedule, self.settings, self.seed = model, schedule, settings, seed
        self.train_loader, self.validation_loader = train_loader, validation_loader
        self.optimization = Optimization(model, optimizers, settings, device, train_loader.device)
        self.events = Events()
        self.steps_per_epoch = train_loader.size / settings.batch_size
        self.max_steps = settings.planned_steps(train_loader.size)
        self.ema = MovingAverage(model, model.averaged, settings.ema) if settings.ema and model.averaged else None
        self.metric_window = ScalarWindow()
        self.step = 0
        self.lr_scale = 1.0
        self.stop_reason: str | None = None
        self.rollback_state: dict | None = None
        self.on_divergence: Callable[[Trainer, TrainingDiverged], None] | None = None
        self.interruption = Interruption()
        self.stop_flag = distributed.StopFlag()  # all processes stop at the same step

    def fit(self) -> None:
        """Train until `max_steps`, or until a callback sets `stop_reason`; `Interrupted` if a signal ends it early."""
        with self.interruption.interruptible():
            self.emit("on_start")
        try:
            self._train()
            self._end()
        except Interrupted:
            self.emit("on_interrupt")
            distributed.barrier()
            raise

    def _train(self) -> None:
        """Run all remaining steps."""
        self.model.train()
        if self.events.notified is not None:  # a signal interrupted callbacks at the end of the last step
            self.events.end_step(self)
        batches = self.train_loader.batches(self.settings.batch_size, self.step)
        while self.step < self.max_steps and not self.stop_reason:
            if number := self.stop_flag(self.interruption.received or 0):
                raise Interrupted(number)
            self.train_step(next(batches))
            self._log()
            if self.rollback_state:
                batches = self._roll_back(self.rollback_state)
            else:
                self.events.end_step(self)
        self.stop_flag.settle()

    def train_step(self, batch: Batch) -> None:
        """One step: seed the generators, apply the updates, collect their scalars, update the moving average."""
        seed_device(self.train_loader.device, mix(self.train_loader.seed, distributed.rank(), self.step))
        factor = self.lr_scale * self.schedule((self.step + 0.5) / self.max_steps)
        scalars = self.optimization.make_step(batch, self.step, factor)
        self.metric_window.add(self.step + 1, scalars)
        if self.ema:
            self.ema.update(self.step)
        self.step += 1

    def _log(self) -> None:
        """Log a row of metrics if one is due. `TrainingDiverged` if it is not finite and nothing is rolled back.

        The last step's row is always checked: a run must not end with values that are not finite.
        """
        due = self.step % self.settings.log_every == 0
        if not due and self.step < self.max_steps:
            return
        try:
            row = self.log_row(keep=not due)
        except TrainingDiverged as error:
            if self.on_divergence:
                self.on_divergence(self, error)
            if not self.rollback_state:
                raise
            return
        if due:
            self.events.log(self, row)

    def log_row(self, keep: bool = False) -> dict[str, float]:
        """A row of metrics: means over the steps since the last row and over the processes.

        keep: the next row includes these steps as well. `TrainingDiverged`, in all processes, if one is not finite.
        """
        row = {"step": self.step, "epoch": self.step / self.steps_per_epoch}
        for name, value in self.metric_window.means(keep).items():
            row[name if name.startswith("gradient_norm/") else f"train/{name}"] = value
        return row | {f"learning_rate/{player}": rate for player, rate in self.optimization.rates().items()}

    def _roll_back(self, state: dict) -> Iterator[Batch]:
        """Continue from an earlier `state` and log the rollback; returns the batches from there on."""
        left = self.step
        load_state_dict(self, state)
        self.emit("on_log", {"step": self.step, "rollback": left})
        self.emit("on_rollback")
        self.rollback_state = None
        return self.train_loader.batches(self.settings.batch_size, self.step)

    def _end(self) -> None:
        """Measure what was not due at the last step. The saved state does not include it, so that resuming with more
        steps gives the same run as one that never ended here."""
        self.emit("on_last_step")
        if self.step % self.settings.log_every and self.metric_window.filled:
            self.emit("on_log", self.log_row(keep=True))
        self.emit("on_finish")

    def emit(self, event: str, *arguments: Any) -> None:
        """Notify all callbacks of an event."""
        self.events.emit(self, event, *arguments)
