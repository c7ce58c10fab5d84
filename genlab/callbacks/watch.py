"""Watching players that compete: does one win outright, do samples still differ, do gradients or losses explode?

A generator that has collapsed paints a few pictures over and over: their mean distance falls below that of real ones
(the idea of Salimans et al. 2016's minibatch features, here as a plain measurement), and a classifier sees few of the
classes. A discriminator that is never wrong has nothing left to teach (Arjovsky and Bottou 2017).

References:
- Salimans et al. 2016, Improved Techniques for Training GANs, https://arxiv.org/abs/1606.03498
- Arjovsky, Bottou 2017, Towards Principled Methods for Training Generative Adversarial Networks,
  https://arxiv.org/abs/1701.04862
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from genlab.callbacks.base import Callback, due
from genlab.config.schema import WatchConfig
from genlab.data.spec import Batch
from genlab.models.base import GenerativeModel
from genlab.training import checkpoint, distributed
from genlab.training.scalars import TrainingDiverged
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_RECENT_ROWS, _ENOUGH_ROWS = 40, 10
"""Rows whose gradient norms the median is taken of, and how many it takes to have an opinion."""

_LEAST_ENTROPY = 0.1
"""Nats below which the data's classes are too uneven to compare with: one picture of 64 in another class makes 0.08."""

_SEED_OFFSET = 1_000_003
"""Added to the seed at every rollback: far from the seeds that the other runs of a sweep have."""

_ADVICE = {
    "accuracy": "A player has nothing left to teach: lower its rate (optimizer.players.NAME.lr) or bound its slope",
    "diversity": "Samples are alike: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "class_entropy": "Samples show few of the classes: lower optimizer.lr or one player's (optimizer.players.NAME.lr)",
    "gradient": "Gradients explode: set trainer.clip or lower optimizer.lr",
}


@dataclass(frozen=True)
class Alarm:
    """Something that went wrong at `step`: a `value` beyond its `bound`; `action` says what follows from it.

    advice: what may have led to it, and what to try.
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
    """Reads rows of metrics, looks at samples now and then, and raises alarms; for models of several players only.

    What it reads: any scalar with `accuracy` as a part of its name between slashes, `gradient_norm/PLAYER`, and
    pictures from the model's `sample` (or `translate`) under the averaged weights. It adds to the row, and so stands
    before the callbacks that write rows:
    watch/gradient/PLAYER: norm over its median in the rows before, once there are enough of them;
    watch/diversity: mean distance of two samples over that of two validation pictures (for translations: the smaller
        of the domains' values);
    watch/class_entropy: entropy of the samples' mean class probabilities over that of the validation pictures', so
        that unbalanced data and unused classes count for nothing; left out where the latter is near 0.
    The validation pictures are as many as the samples, evenly spread over the split.

    An alarm of a kind is raised once, and again only after its value was within bounds. One kind knows no row of
    metrics: `not_finite`, value 1 over bound 0, where a loss or gradient became NaN or infinite. The run fails with it
    unless `action` says otherwise.

    A rollback continues from `best.pt` (`last.pt` where there is none) with another seed for noise and augmentation
    and lower rates; the order of the examples stays, so that each still comes once an epoch. It replaces `last.pt`,
    removes later `step_*.pt`, and a row {"step": TO, "rollback": FROM} of `metrics.jsonl` says that rows above it
    with steps behind TO were given up. Where there is no checkpoint yet, or after `max_rollbacks`, the run stops.

    checkpoints: the run's folder of checkpoints.
    classify: pictures [N, C, H, W] in [0, 1] to probabilities [N, K], where a classifier is at hand, else None.
    """

    def __init__(
        self, settings: WatchConfig, checkpoints: Path, classify: Callable[[Tensor], Tensor | None] | None = None
    ):
        self.settings, self.checkpoints, self.classify = settings, checkpoints, classify
        self.since: dict[str, int] = {}  # by kind of alarm, the step since which the value is beyond its bound
        self.active: list[str] = []
        self.norms: dict[str, list[float]] = {}  # by player, of the last rows
        self.rollbacks = 0
        self.pictures: Batch | None = None
        self.real_entropy: float | None = None

    def start(self, trainer: Trainer) -> None:
        if len(trainer.model.players()) > 1:
            trainer.rescue = self.diverged

    def diverged(self, trainer: Trainer, error: TrainingDiverged) -> None:
        """The trainer's `rescue`: what the settings ask for where the row of metrics is not finite."""
        self._raise(trainer, "not_finite", 1.0, 0.0, str(error))

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        # Neither the row of a rollback nor one that only the end of the run asked for.
        regular = "rollback" not in row and due(trainer, trainer.settings.log_every)
        if regular and len(trainer.model.players()) > 1:
            self._read_accuracy(trainer, row)
            self._read_gradients(trainer, row)
            # The first row since a multiple of `every`: log_every need not divide it.
            if trainer.step % self.settings.every < trainer.settings.log_every:
                self._look_at_samples(trainer, row)

    def _read_accuracy(self, trainer: Trainer, row: dict[str, float]) -> None:
        if shares := [value for name, value in row.items() if "accuracy" in name.split("/")]:
            surest, bound = max(shares), self.settings.accuracy_bound
            begin = trainer.step - trainer.settings.log_every  # a row is the mean over the steps before it
            self._judge(trainer, "accuracy", surest, bound, surest > bound, begin, self.settings.accuracy_steps)

    def _read_gradients(self, trainer: Trainer, row: dict[str, float]) -> None:
        growth = {}
        for name in [name for name in row if name.startswith("gradient_norm/")]:
            player = name.removeprefix("gradient_norm/")
            past = self.norms.get(player, [])
            if len(past) >= _ENOUGH_ROWS and (usual := median(past)) > 0:
                growth[f"watch/gradient/{player}"] = row[name] / usual
            self.norms[player] = [*past, row[name]][-_RECENT_ROWS:]
        if growth:
            row |= growth
            largest, bound = max(growth.values()), self.settings.gradient_factor
            self._judge(trainer, "gradient", largest, bound, largest > bound)

    def _look_at_samples(self, trainer: Trainer, row: dict[str, float]) -> None:
        found = {f"watch/{kind}": value for kind, value in self._measure(trainer).items()}
        row |= found
        if trainer.step >= self.settings.warmup:
            for kind, bound in (
                ("diversity", self.settings.diversity_bound),
                ("class_entropy", self.settings.class_entropy_bound),
            ):
                if (value := found.get(f"watch/{kind}")) is not None:
                    self._judge(trainer, kind, value, bound, not value >= bound)  # NaN is no spread either

    def _measure(self, trainer: Trainer) -> dict[str, float]:
        """Diversity and class entropy, as process 0 finds them: all must decide alike. The step after this one seeds
        its own noise, so nothing of the drawing here reaches training."""
        if self.pictures is None:
            self.pictures = trainer.validation.spread(self.settings.num_samples)
        with trainer.inference():
            painted = list(_paint(trainer.model, self.pictures, self.settings.num_samples))
            found = {}
            if ratios := [_spread(fake) / usual for fake, real in painted if (usual := _spread(real)) > 0]:
                found["diversity"] = min(ratios)
            if painted and self.classify:
                if self.real_entropy is None:
                    with distributed.first_process_first():  # the classifier may be trained here
                        self.real_entropy = self._class_entropy([real for _, real in painted])
                if self.real_entropy > _LEAST_ENTROPY:
                    found["class_entropy"] = self._class_entropy([fake for fake, _ in painted]) / self.real_entropy
        return distributed.from_first(found)

    def _class_entropy(self, pictures: list[Tensor]) -> float:
        """Entropy in nats of the classes' mean probabilities; 0 where the classifier knows no classes."""
        read = self.classify(torch.cat(pictures))
        return 0.0 if read is None else torch.special.entr(read.cpu().double().mean(0)).sum().item()

    def _judge(
        self, trainer: Trainer, kind: str, value: float, bound: float, bad: bool, begin: int = 0, stretch: int = 0
    ) -> None:
        """Note a `value` that is `bad` since step `begin`; raise an alarm once it is so for `stretch` steps."""
        if not bad:
            self.since.pop(kind, None)
            self.active = [other for other in self.active if other != kind]
        elif trainer.step - self.since.setdefault(kind, begin) >= stretch and kind not in self.active:
            self.active.append(kind)
            self._raise(trainer, kind, value, bound, _ADVICE[kind])

    def _raise(self, trainer: Trainer, kind: str, value: float, bound: float, advice: str) -> None:
        """Do what the settings ask for and tell everybody."""
        alarm = Alarm(trainer.step, kind, value, bound, self._act(trainer, kind), advice)
        if distributed.rank() == 0:
            log.warning(str(alarm))
        trainer.emit("alarmed", alarm)

    def _act(self, trainer: Trainer, kind: str) -> str:
        """Do what the settings ask for; returns it in words."""
        if self.settings.action == "warn" or trainer.earlier or trainer.stop_reason:  # two alarms in one row: act once
            return "warn"
        reason = f"watch: alarm of {kind}"
        if self.settings.action == "rollback":
            if self.rollbacks >= self.settings.max_rollbacks:
                reason += f" after {self.rollbacks} rollbacks"
            elif state := self._load():
                return self._roll_back(trainer, state)
            else:
                reason += ", and no checkpoint to go back to; lower trainer.checkpoint_every"
        trainer.stop_reason = reason
        return "stop"

    def _load(self) -> dict | None:
        """The checkpoint to go back to, the same in all processes: none goes on to write before all have looked."""
        state = None
        for path in (self.checkpoints / "best.pt", self.checkpoints / "last.pt"):
            if state is None and path.exists():
                try:
                    state = checkpoint.load(path)
                except ValueError as error:
                    log.warning("%s; it is passed over", error)
        distributed.barrier()
        return state

    def _roll_back(self, trainer: Trainer, state: dict) -> str:
        """Have `trainer` continue from `state`, as it would on a resume, but for noise, rates and the count."""
        own = {**state["callbacks"]["Watch"], "since": {}, "active": [], "rollbacks": self.rollbacks + 1}
        trainer.earlier = state | {
            "seed": trainer.train.seed + _SEED_OFFSET,
            "rate_factor": trainer.rate_factor * self.settings.rollback_lr_factor,
            "callbacks": state["callbacks"] | {"Watch": own},
        }
        return (
            f"rollback {self.rollbacks + 1} to step {state['step']}, seed {trainer.earlier['seed']}, "
            f"learning rates times {trainer.earlier['rate_factor']:.4g}"
        )

    def went_back(self, trainer: Trainer) -> None:
        """Make the state after a rollback the run's last one, so that a resume goes on from it."""
        state = trainer.earlier | trainer.state_dict()
        if distributed.rank() == 0:
            last = self.checkpoints / "last.pt"
            checkpoint.save(state, last)
            checkpoint.make_last(last, trainer.step)

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


def _paint(model: GenerativeModel, pictures: Batch, num_samples: int) -> Iterator[tuple[Tensor, Tensor]]:
    """What the model can paint, each beside real pictures of that kind; nothing where it can do neither."""
    if hasattr(model, "sample"):
        yield model.sample(num_samples), pictures.pictures
    elif hasattr(model, "translate"):
        for domain, other in permutations(model.data.domains, 2):
            yield model.translate(pictures[other], domain), pictures[domain]


def _spread(pictures: Tensor) -> float:
    """Mean distance over all pairs of different rows of [N, ...]."""
    return torch.pdist(pictures.flatten(1).float().cpu()).mean().item()
