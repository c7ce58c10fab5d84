"""The watch over players that compete: what raises an alarm, and what it says."""

import logging
import math
from dataclasses import replace

import lab
import pytest
import torch
from representatives import REPRESENTATIVES, structure

from genlab.callbacks.watch import Watch
from genlab.checkpoints.folder import RunFolder
from genlab.config.options import models_that_can
from genlab.training.callback import Callback

GAMES = [model for model in REPRESENTATIVES if structure(model)[0] > 1]
PAINTER = next(model for model in GAMES if model in models_that_can("sample"))
ALONE = next(model for model in REPRESENTATIVES if structure(model)[0] == 1)


def settings(**changes):
    return replace(lab.compose(PAINTER).watch, **changes)


class Told(Callback):
    key = "told"

    def __init__(self):
        self.alarms = []

    def on_alarm(self, trainer, alarm):
        self.alarms.append(alarm)


class Stage:
    """A trainer that makes no step: its rows are given, and its samples lie within `width` of a grey image."""

    def __init__(self, folder, model=PAINTER, width=1.0, classify=None, **changes):
        config = lab.compose(model, "trainer.log_every=10")
        self.trainer = lab.trainer(config, lab.examples(config, validation=64))
        self.trainer.model.sample = self.sample
        self.trainer.events.callbacks = [told := Told()]
        self.watch = Watch(settings(**changes), RunFolder(folder), classify)
        self.alarms, self.width = told.alarms, width
        torch.manual_seed(7)

    def sample(self, num_samples, condition=None):
        return 0.5 + self.width * (torch.rand(num_samples, *self.trainer.model.data.shape) - 0.5)

    def row(self, **scalars):
        """The next row of metrics, with what the watch adds."""
        self.trainer.step += self.trainer.settings.log_every
        row = {"step": self.trainer.step} | {name.replace("__", "/"): value for name, value in scalars.items()}
        return row | self.watch.extra_metrics(self.trainer, row)

    @property
    def kinds(self):
        return [alarm.kind for alarm in self.alarms]


def test_a_player_that_is_never_wrong_for_long_raises_one_alarm_until_it_is_wrong_again(tmp_path):
    run = Stage(tmp_path, accuracy_bound=0.9, accuracy_steps=30)
    for accuracy in (0.95, 0.95, 0.8, 0.95, 0.95):
        run.row(train__judge__accuracy=accuracy)
    assert run.alarms == [], "never 30 steps on end"
    for _ in range(5):
        run.row(train__judge__accuracy=0.95)
    (alarm,) = run.alarms
    assert (alarm.step, alarm.kind, alarm.value, alarm.bound, alarm.action) == (60, "accuracy", 0.95, 0.9, "warn")
    run.row(train__judge__accuracy=0.5)
    for _ in range(3):
        run.row(train__judges__accuracy__a=0.5, train__judges__accuracy__b=0.99, train__judges__inaccuracy=1.0)
    assert [(alarm.step, alarm.value) for alarm in run.alarms[1:]] == [(140, 0.99)], "of several the surest counts"


def test_gradients_are_held_against_their_own_median(tmp_path):
    run = Stage(tmp_path, gradient_factor=50)
    for number in range(10):
        row = run.row(gradient_norm__judge=1.0 + number % 3, gradient_norm__painter=1e-3)
    assert not any(name.startswith("watch/gradient") for name in row), "ten rows are needed to have an opinion"
    row = run.row(gradient_norm__judge=60.0, gradient_norm__painter=1e-3)
    assert row["watch/gradient/judge"] == pytest.approx(30) and run.alarms == []
    run.row(gradient_norm__judge=2.0, gradient_norm__painter=0.1)
    assert run.kinds == ["gradient"] and run.alarms[0].value == pytest.approx(100)


def test_diversity_is_the_distance_between_samples_over_that_between_data(tmp_path):
    run = Stage(tmp_path, warmup=0, every=10, diversity_bound=0.6, num_samples=30)
    assert run.row()["watch/diversity"] == pytest.approx(1, abs=0.1), "both are uniform noise"
    assert run.watch.diversity.images.size == 30
    run.width = 0.5
    assert run.row()["watch/diversity"] == pytest.approx(0.5, abs=0.05)
    run.row()
    assert [(alarm.step, alarm.kind) for alarm in run.alarms] == [(20, "diversity")]


def test_a_look_is_taken_every_so_many_steps_and_counts_after_the_warmup(tmp_path):
    run = Stage(tmp_path, width=0.1, warmup=75, every=25)
    looked = [run.trainer.step for _ in range(10) if "watch/diversity" in run.row()]
    assert looked == [30, 50, 80, 100]
    assert [alarm.step for alarm in run.alarms] == [80]


def by_brightness(border):
    """A classifier that knows a thousand classes and sees two: images whose first pixel is above `border`, others."""
    return lambda x: torch.eye(1000)[(x[:, 0, 0, 0] > border).long()]


def test_classes_of_samples_are_held_against_those_of_the_data_balanced_or_not(tmp_path):
    run = Stage(tmp_path, classify=by_brightness(0.8), warmup=0, every=10, num_samples=64, diversity_bound=0)
    seen = by_brightness(0.8)(run.trainer.validation_loader.evenly_spaced(64)["x"]).mean(0)[1]
    assert 0.05 < seen < 0.35, "few of the data are bright"
    assert run.row()["watch/class_entropy"] == pytest.approx(1, abs=0.4) and run.alarms == []
    run.width = 0.0
    assert run.row()["watch/class_entropy"] == 0
    assert run.kinds == ["class_entropy"]


def test_data_of_one_class_tells_nothing_about_the_classes_of_samples(tmp_path):
    run = Stage(tmp_path, classify=by_brightness(2), warmup=0, every=10)
    assert "watch/class_entropy" not in run.row() and run.alarms == []


def test_samples_that_are_no_numbers_are_not_diverse(tmp_path):
    run = Stage(tmp_path, width=math.nan, warmup=0, every=10)
    run.row()
    assert run.kinds == ["diversity"]


def test_models_of_one_player_are_left_alone(tmp_path):
    run = Stage(tmp_path, ALONE, width=0.0, warmup=0, every=10, gradient_factor=1, accuracy_bound=0)
    row = run.row(gradient_norm__model=1.0, train__accuracy=1.0)
    assert row == {"step": 10, "gradient_norm/model": 1.0, "train/accuracy": 1.0} and run.alarms == []


@pytest.mark.parametrize(
    "action, reason",
    [("warn", None), ("stop", "watch: alarm of diversity"), ("rollback", "no checkpoint to go back to")],
)
def test_an_alarm_says_what_to_try_and_may_end_the_run(action, reason, tmp_path, caplog):
    run = Stage(tmp_path, width=0.0, warmup=0, every=10, action=action)
    with caplog.at_level(logging.WARNING, "genlab"):
        run.row()
    assert all(part in caplog.text for part in ("step 10", "diversity 0", "below 0.7", "lower optimizer.lr"))
    assert run.trainer.stop_reason is None if reason is None else reason in run.trainer.stop_reason
    assert run.trainer.rollback_state is None


def test_classes_of_samples_that_are_not_finite_are_left_out(tmp_path):
    run = Stage(tmp_path, width=math.nan, warmup=0, every=10, classify=lambda x: pytest.fail("it would refuse them"))
    assert "watch/class_entropy" not in run.row() and run.kinds == ["diversity"]
