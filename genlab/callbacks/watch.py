"""Alarms for adversarial training: one player wins outright, samples collapse, or gradients or losses explode.

A discriminator that is never wrong gives the generator no useful gradient (Arjovsky and Bottou 2017).

Reference: Arjovsky, Bottou 2017, Towards Principled Methods for Training Generative Adversarial Networks,
https://arxiv.org/abs/1701.04862
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from genlab.callbacks.diversity import Diversity
from genlab.callbacks.rollback import load_rollback_state, roll_back
from genlab.checkpoints.folder import RunFolder
from genlab.contract.settings import WatchConfig
from genlab.system import distributed
from genlab.training.callback import Callback
from genlab.training.scalars import TrainingDiverged
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_RECENT_ROWS, _ENOUGH_ROWS = 40, 10
"""Number of recent rows for the median gradient norm, and the minimum number."""

_ADVICE = {
    "accuracy": "One player wins outright: lower its rate (optimizer.players.NAME.lr) or bound its gradient",
    "diversity": "Samples are alike: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "class_entropy": "Samples show few of the classes: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "gradient": "Gradients explode: set trainer.clip or lower optimizer.lr",
}


@dataclass(frozen=True)
class Alarm:
    """A `value` that exceeded its `bound` at `step`, from above or below; `action` is the response.

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
    """Checks rows of metrics and, periodically, samples, and raises alarms; only for models with several players.

    It reads `gradient_norm/PLAYER`, and scalars with `accuracy` as a component of their name (between slashes). It adds
    to the row:
    watch/gradient/PLAYER: the gradient norm divided by its median in the previous rows, once there are enough of them;
    watch/diversity, watch/class_entropy: see `Diversity`.

    Each kind of alarm is raised once, and again only after its value was within bounds. `not_finite`, with value 1 and
    bound 0, is raised if a loss or gradient became NaN or infinite; the run then fails unless it is rolled back.

    A rollback continues from the best checkpoint (the last one if there is none) with another seed for noise and
    augmentation and lower learning rates. The order of the examples is unchanged, so that each still occurs once per
    epoch. It replaces the last checkpoint, deletes those of later steps, and adds a row {"step": TO, "rollback": FROM}
    to `metrics.jsonl`: earlier rows with steps after TO are discarded. The run stops if there is no checkpoint yet, or
    after `max_rollbacks`.

    classify: maps images [N, C, H, W] in [0, 1] to probabilities [N, K]; None without a classifier.
    """

    key = "watch"

    def __init__(
        self, settings: WatchConfig, folder: RunFolder, classify: Callable[[Tensor], Tensor | None] | None = None
    ):
        self.settings, self.folder = settings, folder
        self.diversity = Diversity(settings.num_samples, classify)
        self.since: dict[str, int] = {}  # by kind of alarm: step since which its value is out of bounds
        self.active: list[str] = []
        self.norms: dict[str, list[float]] = {}  # by player, in the most recent rows
        self.rollbacks = 0

    def on_start(self, trainer: Trainer) -> None:
        if len(trainer.model.players()) > 1:
            trainer.on_divergence = self.diverged

    def diverged(self, trainer: Trainer, error: TrainingDiverged) -> None:
        """Raise an alarm because a row of metrics is not finite."""
        self._raise(trainer, "not_finite", 1.0, 0.0, str(error))

    def extra_metrics(self, trainer: Trainer, row: dict[str, float]) -> dict[str, float]:
        if len(trainer.model.players()) == 1:
            return {}
        self._check_accuracy(trainer, row)
        added = self._check_gradients(trainer, row)
        # The first row after each multiple of `every`, which log_every need not divide.
        if trainer.step % self.settings.every < trainer.settings.log_every:
            added |= self._check_samples(trainer)
        return added

    def _check_accuracy(self, trainer: Trainer, row: dict[str, float]) -> None:
        if accuracies := [value for name, value in row.items() if "accuracy" in name.split("/")]:
            highest, bound = max(accuracies), self.settings.accuracy_bound
            begin = trainer.step - trainer.settings.log_every  # a row is the mean over the steps before it
            self._check_bound(trainer, "accuracy", highest, bound, highest > bound, begin, self.settings.accuracy_steps)

    def _check_gradients(self, trainer: Trainer, row: dict[str, float]) -> dict[str, float]:
        growth = {}
        for name in [name for name in row if name.startswith("gradient_norm/")]:
            player = name.removeprefix("gradient_norm/")
            past = self.norms.get(player, [])
            if len(past) >= _ENOUGH_ROWS and (expected := median(past)) > 0:
                growth[f"watch/gradient/{player}"] = row[name] / expected
            self.norms[player] = [*past, row[name]][-_RECENT_ROWS:]
        if growth:
            largest, bound = max(growth.values()), self.settings.gradient_factor
            self._check_bound(trainer, "gradient", largest, bound, largest > bound)
        return growth

    def _check_samples(self, trainer: Trainer) -> dict[str, float]:
        found = self.diversity.measure(trainer)
        if trainer.step >= self.settings.warmup:
            for kind, bound in (
                ("diversity", self.settings.diversity_bound),
                ("class_entropy", self.settings.class_entropy_bound),
            ):
                if (value := found.get(kind)) is not None:
                    self._check_bound(trainer, kind, value, bound, not value >= bound)  # NaN is bad, too
        return {f"watch/{kind}": value for kind, value in found.items()}

    def _check_bound(
        self, trainer: Trainer, kind: str, value: float, bound: float, bad: bool, begin: int = 0, patience: int = 0
    ) -> None:
        """Record a `value` that is `bad` since step `begin`; raise an alarm after `patience` bad steps."""
        if not bad:
            self.since.pop(kind, None)
            self.active = [other for other in self.active if other != kind]
        elif trainer.step - self.since.setdefault(kind, begin) >= patience and kind not in self.active:
            self.active.append(kind)
            self._raise(trainer, kind, value, bound, _ADVICE[kind])

    def _raise(self, trainer: Trainer, kind: str, value: float, bound: float, advice: str) -> None:
        """Take the configured action and notify all callbacks."""
        alarm = Alarm(trainer.step, kind, value, bound, self._act(trainer, kind), advice)
        if distributed.rank() == 0:
            log.warning(str(alarm))
        trainer.emit("on_alarm", alarm)

    def _act(self, trainer: Trainer, kind: str) -> str:
        """Take the configured action; returns its description."""
        if self.settings.action == "warn" or trainer.rollback_state or trainer.stop_reason:  # one alarm acted already
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
