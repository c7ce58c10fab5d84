"""Alarms for players that compete: does one win outright, do samples still differ, do gradients or losses explode?

A discriminator that is never wrong has nothing left to teach (Arjovsky and Bottou 2017).

Reference: Arjovsky, Bottou 2017, Towards Principled Methods for Training Generative Adversarial Networks,
https://arxiv.org/abs/1701.04862
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from genlab.callbacks.diversity import Diversity
from genlab.callbacks.rollback import load_rollback_state, roll_back, save_as_last
from genlab.checkpoints.folder import RunFolder
from genlab.contract.settings import WatchConfig
from genlab.system import distributed
from genlab.training.callback import Callback
from genlab.training.scalars import TrainingDiverged
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_RECENT_ROWS, _ENOUGH_ROWS = 40, 10
"""Rows whose gradient norms the median is taken of, and how many it needs."""

_ADVICE = {
    "accuracy": "A player has nothing left to teach: lower its rate (optimizer.players.NAME.lr) or bound its slope",
    "diversity": "Samples are alike: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "class_entropy": "Samples show few of the classes: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "gradient": "Gradients explode: set trainer.clip or lower optimizer.lr",
}


@dataclass(frozen=True)
class Alarm:
    """Something that went wrong at `step`: a `value` beyond its `bound`; `action` says what follows from it.

    advice: the likely cause, and what to try.
    """

    step: int
    kind: str
    value: float
    bound: float
    action: str
    advice: str

    def __str__(self) -> str:
        side = "above" if self.value > self.bound else "below"
        return (
            f"step {self.step}: alarm: {self.kind} {self.value:.4g} is {side} {self.bound:.4g} "
            f"(action: {self.action}). {self.advice}"
        )


class Watch(Callback):
    """Checks rows of metrics and, now and then, samples, and raises alarms; for models of several players only.

    It reads any scalar that has `accuracy` as a part of its name between slashes, and `gradient_norm/PLAYER`. It adds
    to the row:
    watch/gradient/PLAYER: norm over its median in the rows before, once there are enough of them;
    watch/diversity, watch/class_entropy: see `Diversity`.

    An alarm of a kind is raised once, and again only after its value was within bounds. `not_finite`, value 1 over
    bound 0, is raised if a loss or gradient became NaN or infinite; the run then fails unless `action` says otherwise.

    A rollback continues from `best.pt` (`last.pt` if there is none) with another seed for noise and augmentation and
    lower learning rates; the order of the examples stays, so that each still comes once an epoch. It replaces
    `last.pt`, deletes later `step_*.pt`, and adds a row {"step": TO, "rollback": FROM} to `metrics.jsonl`: earlier rows
    with steps after TO were given up. The run stops if there is no checkpoint yet, or after `max_rollbacks`.

    classify: images [N, C, H, W] in [0, 1] to probabilities [N, K], if a classifier is at hand, else None.
    """

    key = "watch"

    def __init__(
        self, settings: WatchConfig, folder: RunFolder, classify: Callable[[Tensor], Tensor | None] | None = None
    ):
        self.settings, self.folder = settings, folder
        self.diversity = Diversity(settings.num_samples, classify)
        self.since: dict[str, int] = {}  # by kind of alarm, the step since which the value is beyond its bound
        self.active: list[str] = []
        self.norms: dict[str, list[float]] = {}  # by player, of the last rows
        self.rollbacks = 0

    def on_start(self, trainer: Trainer) -> None:
        if len(trainer.model.players()) > 1:
            trainer.on_divergence = self.diverged

    def diverged(self, trainer: Trainer, error: TrainingDiverged) -> None:
        """Do what the settings ask for if a row of metrics is not finite."""
        self._raise(trainer, "not_finite", 1.0, 0.0, str(error))

    def extra_metrics(self, trainer: Trainer, row: dict[str, float]) -> dict[str, float]:
        if len(trainer.model.players()) == 1:
            return {}
        self._check_accuracy(trainer, row)
        added = self._check_gradients(trainer, row)
        # The first row since a multiple of `every`: log_every need not divide it.
        if trainer.step % self.settings.every < trainer.settings.log_every:
            added |= self._check_samples(trainer)
        return added

    def _check_accuracy(self, trainer: Trainer, row: dict[str, float]) -> None:
        if shares := [value for name, value in row.items() if "accuracy" in name.split("/")]:
            highest, bound = max(shares), self.settings.accuracy_bound
            begin = trainer.step - trainer.settings.log_every  # a row is the mean over the steps before it
            self._judge(trainer, "accuracy", highest, bound, highest > bound, begin, self.settings.accuracy_steps)

    def _check_gradients(self, trainer: Trainer, row: dict[str, float]) -> dict[str, float]:
        growth = {}
        for name in [name for name in row if name.startswith("gradient_norm/")]:
            player = name.removeprefix("gradient_norm/")
            past = self.norms.get(player, [])
            if len(past) >= _ENOUGH_ROWS and (usual := median(past)) > 0:
                growth[f"watch/gradient/{player}"] = row[name] / usual
            self.norms[player] = [*past, row[name]][-_RECENT_ROWS:]
        if growth:
            largest, bound = max(growth.values()), self.settings.gradient_factor
            self._judge(trainer, "gradient", largest, bound, largest > bound)
        return growth

    def _check_samples(self, trainer: Trainer) -> dict[str, float]:
        found = self.diversity.measure(trainer)
        if trainer.step >= self.settings.warmup:
            for kind, bound in (
                ("diversity", self.settings.diversity_bound),
                ("class_entropy", self.settings.class_entropy_bound),
            ):
                if (value := found.get(kind)) is not None:
                    self._judge(trainer, kind, value, bound, not value >= bound)  # NaN is no diversity either
        return {f"watch/{kind}": value for kind, value in found.items()}

    def _judge(
        self, trainer: Trainer, kind: str, value: float, bound: float, bad: bool, begin: int = 0, patience: int = 0
    ) -> None:
        """Record a `value` that is `bad` since step `begin`; raise an alarm once it is so for `patience` steps."""
        if not bad:
            self.since.pop(kind, None)
            self.active = [other for other in self.active if other != kind]
        elif trainer.step - self.since.setdefault(kind, begin) >= patience and kind not in self.active:
            self.active.append(kind)
            self._raise(trainer, kind, value, bound, _ADVICE[kind])

    def _raise(self, trainer: Trainer, kind: str, value: float, bound: float, advice: str) -> None:
        """Do what the settings ask for and notify all callbacks."""
        alarm = Alarm(trainer.step, kind, value, bound, self._act(trainer, kind), advice)
        if distributed.rank() == 0:
            log.warning(str(alarm))
        trainer.emit("on_alarm", alarm)

    def _act(self, trainer: Trainer, kind: str) -> str:
        """Do what the settings ask for; returns it in words."""
        if self.settings.action == "warn" or trainer.rollback_state or trainer.stop_reason:  # two alarms in a row
            return "warn"
        reason = f"watch: alarm of {kind}"
        if self.settings.action == "rollback":
            if self.rollbacks >= self.settings.max_rollbacks:
                reason += f" after {self.rollbacks} rollbacks"
            elif state := load_rollback_state(self.folder):
                count = self.rollbacks + 1
                own = {**state["callbacks"][self.key], "since": {}, "active": [], "rollbacks": count}
                done = roll_back(trainer, state, self.settings.rollback_lr_factor, {self.key: own})
                return f"rollback {count} {done}"
            else:
                reason += ", and no checkpoint to go back to; lower trainer.checkpoint_every"
        trainer.stop_reason = reason
        return "stop"

    def on_rollback(self, trainer: Trainer) -> None:
        save_as_last(trainer, self.folder)

    def state_dict(self) -> dict:
        return {
            "since": dict(self.since),
            "active": list(self.active),
            "norms": dict(self.norms),
            "rollbacks": self.rollbacks,
        }

    def load_state_dict(self, state: dict) -> None:
        self.since, self.active = dict(state["since"]), list(state["active"])
        self.norms, self.rollbacks = dict(state["norms"]), state["rollbacks"]
