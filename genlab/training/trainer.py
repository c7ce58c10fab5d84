"""The one training loop. A model yields `Update(player, loss)`; everything that follows from it happens here."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from genlab.config.schema import DeviceConfig, TrainerConfig
from genlab.data.loading import Loader
from genlab.data.spec import Batch
from genlab.models.base import GenerativeModel, Update
from genlab.seeding import mix, seed_device
from genlab.training import distributed
from genlab.training.cuda_graph import GPU, StepGraphs, make_capturable, portable
from genlab.training.device import autocast
from genlab.training.ema import MovingAverage
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.scalars import ScalarWindow, TrainingDiverged, mean
from genlab.training.schedule import Schedule

if TYPE_CHECKING:
    from genlab.callbacks.base import Callback


def planned_steps(settings: TrainerConfig, examples: int) -> int:
    """How many steps a run makes on so many training examples, unless something ends it before."""
    return settings.max_steps or math.ceil(settings.max_epochs * examples / settings.batch_size)


class Trainer:
    """Trains any `GenerativeModel` on batches that are functions of (seed, step).

    Its state after `step` steps is `state_dict()`; loading it and going on gives what never stopping would have given.
    Callbacks steer it by `earlier`, `rate_factor`, `stop_reason` and `rescue`; see `fit`.
    """

    def __init__(
        self,
        model: GenerativeModel,
        optimizers: dict[str, torch.optim.Optimizer],
        schedule: Schedule,
        train: Loader,
        validation: Loader,
        *,
        settings: TrainerConfig,
        device: DeviceConfig,
        seed: int,
        callbacks: Sequence["Callback"] = (),
    ):
        self.model, self.optimizers, self.schedule = model, optimizers, schedule
        self.train, self.validation = train, validation
        self.settings, self.device_settings, self.seed, self.callbacks = settings, device, seed, callbacks
        self.parameters = {
            player: [parameter for parameter in module.parameters() if parameter.requires_grad]
            for player, module in model.players().items()
        }
        self.base_rates = {
            player: [group["lr"] for group in optimizer.param_groups] for player, optimizer in optimizers.items()
        }
        self.steps_per_epoch = train.size / settings.batch_size
        self.max_steps = planned_steps(settings, train.size)
        share = settings.batch_size // distributed.world()
        self.rounds = math.ceil(share / (device.micro_batch or share))
        self.casting = autocast(train.device, device.precision)  # entered anew each time, never within itself
        self.scaler = torch.amp.GradScaler(train.device.type, enabled=device.precision == "fp16")
        self.ema = MovingAverage(model, model.averaged, settings.ema) if settings.ema and model.averaged else None
        self.graphs = StepGraphs(self._make_updates, GPU()) if device.cuda_graph else None
        if self.graphs:
            make_capturable(optimizers.values())
        self.window = ScalarWindow()
        self.step = 0
        self.rate_factor = 1.0  # on all learning rates; a callback that goes back to an earlier state may lower it
        self.stop_reason: str | None = None
        self.earlier: dict | None = None
        self.rescue: Callable[[Trainer, TrainingDiverged], None] | None = None
        self.interruption = Interruption()
        self.poll = distributed.Poll()  # for signals, so that all processes stop at one step
        self.told: list[str] | None = None  # the callbacks that know of this step, where a signal broke one of them off

    def fit(self) -> None:
        """Train until `max_steps`, or until a callback sets `stop_reason`; `Interrupted` where a signal ends it before.

        A callback that finds a row of metrics too bad sets `earlier` to a state to go on from in place of this one.
        Where a row is not finite, no callback is told of it or of the step's end: `rescue`, if a callback gave one,
        may set `earlier` or `stop_reason`, alike in all processes; else `TrainingDiverged` ends the run.
        """
        with self.interruption.breakable():
            self.emit("start")
        try:
            finite = self._train()
            self._end(finite)
        except Interrupted:
            self.emit("interrupted")
            distributed.barrier()
            raise

    def _train(self) -> bool:
        """All steps that are left; False where the last of them is not finite."""
        self.model.train()
        finite = True
        if self.told is not None:
            self._tell_step()
        batches = self.train.batches(self.settings.batch_size, self.step)
        while self.step < self.max_steps and not self.stop_reason:
            if number := self.poll(self.interruption.received or 0):
                raise Interrupted(number)
            self.train_step(next(batches))
            finite = self._tell_row()
            if self.earlier:
                batches = self._go_back()
            elif finite:
                self._tell_step()
        self.poll.settle()
        return finite

    def _tell_row(self) -> bool:
        """Tell callbacks of a row of metrics where one is due; False where it is not finite and `rescue` helped.

        What the last step was to log is looked at in any case: nothing that is not finite may be the end of a run.
        """
        due = self.step % self.settings.log_every == 0
        if not due and self.step < self.max_steps:
            return True
        try:
            row = self.log_row(keep=not due)
        except TrainingDiverged as error:
            if self.rescue:
                self.rescue(self, error)
            if not (self.earlier or self.stop_reason):
                raise
            return False
        if due:
            self.emit("logged", row)
        return True

    def _tell_step(self) -> None:
        """Tell callbacks that a step has ended; all but those that had been told when a signal broke one off."""
        told, self.told = self.told or [], None
        for place, callback in enumerate(self.callbacks):
            if told and type(callback).__name__ in told:
                continue
            try:
                callback.stepped(self)
            except Interrupted:
                self.told = [type(earlier).__name__ for earlier in self.callbacks[:place]]
                raise

    def _end(self, finite: bool) -> None:
        """Measure what this step was not due for. The state that was saved before knows nothing of it, so that a run
        which goes on later is the run that never ended."""
        if finite:
            self.emit("ending")
            if self.step % self.settings.log_every and self.window.filled:
                self.emit("logged", self.log_row(keep=True))
        self.emit("finish")

    def _go_back(self) -> Iterator[Batch]:
        """Load the `earlier` state, tell callbacks by a row which step was left; the batches from there on."""
        left = self.step
        self.load_state_dict(self.earlier)
        self.emit("logged", {"step": self.step, "rollback": left})
        self.emit("went_back")
        self.earlier = None
        return self.train.batches(self.settings.batch_size, self.step)

    def train_step(self, batch: Batch) -> None:
        """One step: seed the generators, set the rates, make the updates, note their scalars."""
        seed_device(self.train.device, mix(self.train.seed, distributed.rank(), self.step))
        rate = self.rate_factor * self.schedule((self.step + 0.5) / self.max_steps)
        for player, optimizer in self.optimizers.items():
            for group, base in zip(optimizer.param_groups, self.base_rates[player], strict=True):
                if self.graphs:
                    group["lr"].fill_(base * rate)
                else:
                    group["lr"] = base * rate
        if self.graphs:
            scalars = self.graphs.step((self.model.step_kind(self.step), self._norm_is_due()), batch)
        else:
            scalars = self._make_updates(batch)
        self.window.add(self.step + 1, scalars)
        if self.ema:
            self.ema.update(self.step)
        self.step += 1

    def _make_updates(self, batch: Batch) -> dict[str, Tensor]:
        """The turns of all micro-batches advance together, update by update; returns what is to be logged."""
        parts = [batch] if self.rounds == 1 else batch.split(self.rounds)
        turns = [self.model.training_step(part, self.step) for part in parts]
        logged: dict[str, Tensor] = {}
        while updates := [update for turn in turns if (update := self._backward(turn)) is not None]:
            # A player's later updates of a step (lazy penalties) must not mix into the mean of its loss.
            logged |= {name: value for name, value in self._apply(updates).items() if name not in logged}
        return logged

    def _norm_is_due(self) -> bool:
        """Whether this step's gradient norms are asked for, which take long beside a small network's step."""
        return self.settings.clip is not None or (self.step + 1) % self.settings.log_every == 0

    def _backward(self, turn: Iterator[Update]) -> Update | None:
        with self.casting:
            update = next(turn, None)
        if update is not None:
            loss = update.loss if self.rounds == 1 else update.loss / self.rounds
            self.scaler.scale(loss).backward(inputs=self.parameters[update.player])
        return update

    def _apply(self, updates: list[Update]) -> dict[str, Tensor]:
        """Step the optimizer of the player that all micro-batches asked for; returns what is to be logged."""
        player, optimizer = updates[0].player, self.optimizers[updates[0].player]
        parameters = self.parameters[player]
        norm_is_due = self._norm_is_due()
        if norm_is_due or distributed.world() > 1:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            distributed.average(gradients)
        if self.scaler.is_enabled():
            self.scaler.unscale_(optimizer)
        prefix = "" if len(self.parameters) == 1 else f"{player}/"
        scalars = {f"{prefix}loss": mean([update.loss for update in updates])}
        scalars |= {prefix + name: mean([update.log[name] for update in updates]) for name in updates[0].log}
        if norm_is_due:
            norm = get_total_norm(gradients)
            # A float16 overflow is skipped by the scaler and no sign of divergence; the losses would tell.
            scalars[f"gradient_norm/{player}"] = norm.nan_to_num(0, 0, 0) if self.scaler.is_enabled() else norm
            if self.settings.clip:
                clip_grads_with_norm_(parameters, self.settings.clip, norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        for parameter in parameters:
            parameter.grad = None
        return scalars

    def log_row(self, keep: bool = False) -> dict[str, float]:
        """A row of metrics: means over the steps since the last row and over the processes.

        keep: these steps count for the next row as well. `TrainingDiverged`, in all processes, where one is not finite.
        """
        row = {"step": self.step, "epoch": self.step / self.steps_per_epoch}
        for name, value in self.window.means(keep).items():
            row[name if name.startswith("gradient_norm/") else f"train/{name}"] = value
        row |= {f"learning_rate/{name}": float(opt.param_groups[0]["lr"]) for name, opt in self.optimizers.items()}
        return row

    def validate(self) -> dict[str, float]:
        """Mean of each validation scalar over the validation split, under the averaged weights.

        The processes share the batches; all come to what one alone would.
        """
        totals: dict[str, float] = {}
        with self.inference(breakable=True):
            for size, scalars in distributed.merge(map(self._measure, self.validation.in_order(shared=True))):
                for name, value in scalars.items():
                    totals[name] = totals.get(name, 0.0) + value * (size / self.validation.size)
        return totals

    def _measure(self, batch: Batch) -> tuple[int, dict[str, float]]:
        """Size and validation scalars of a batch."""
        return batch.size, {name: float(value) for name, value in self.model.evaluate(batch).items()}

    def preview(self) -> dict[str, Tensor]:
        """The model's picture grids for the first validation examples with fixed noise, on the CPU."""
        with self.inference(breakable=True):
            grids = self.model.preview(next(self.validation.in_order(limit=64)))
        return {name: grid.detach().float().cpu() for name, grid in grids.items()}

    @contextmanager
    def inference(self, breakable: bool = False) -> Iterator[None]:
        """The model as sampling sees it: averaged weights, evaluation mode, no gradients, repeatable noise.

        breakable: a signal ends the block at once, and a resume does it again; not among several processes, which would
        wait for each other. The weights change places outside of that, so that no signal finds some of each.
        """
        self.model.eval()
        try:
            with torch.no_grad(), self.casting, self.ema.applied() if self.ema else nullcontext():
                seed_device(self.train.device, mix(self.seed))
                breaks = breakable and distributed.world() == 1
                with self.interruption.breakable() if breaks else nullcontext():
                    yield
        finally:
            self.model.train()

    def emit(self, event: str, *arguments) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)

    def state_dict(self) -> dict:
        """Everything that the next step depends on, as tensors and builtins."""
        return {
            "step": self.step,
            "seed": self.train.seed,
            "rate_factor": self.rate_factor,
            "stop_reason": self.stop_reason,
            "told": self.told,
            "model": self.model.state_dict(),
            "optimizers": {player: portable(optimizer.state_dict()) for player, optimizer in self.optimizers.items()},
            "ema": self.ema.state_dict() if self.ema else {},
            "scaler": self.scaler.state_dict(),
            "window": self.window.state_dict(),
            "callbacks": {type(callback).__name__: callback.state_dict() for callback in self.callbacks},
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state`, as `state_dict` gave it."""
        self.step, self.train.seed, self.rate_factor = state["step"], state["seed"], state["rate_factor"]
        self.stop_reason, self.told = state["stop_reason"], state["told"]
        self.model.load_state_dict(state["model"])
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][player])
        if self.graphs:
            make_capturable(self.optimizers.values())
            self.graphs.forget()
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        self.scaler.load_state_dict(state["scaler"])
        self.window.load_state_dict(state["window"])
        for callback in self.callbacks:
            if (own := state["callbacks"].get(type(callback).__name__)) is not None:  # another logger may be on by now
                callback.load_state_dict(own)
