"""The watch over players that compete: what raises an alarm, what follows from one, and what it must not touch."""

import json
import logging
import math
import shutil
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import lab
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from genlab.callbacks.watch import Watch
from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.config.check import limit_problems
from genlab.config.compose import compose_job, register
from genlab.contract.data import Batch
from genlab.runs.train import train
from genlab.training.callback import Callback
from genlab.training.scalars import TrainingDiverged
from genlab.training.state import load_state_dict, state_dict

MODELS = {name: lab.trainer(lab.compose(name)).model for name in lab.MODELS}
ADVERSARIAL = [name for name, model in MODELS.items() if len(model.players()) > 1]
SAMPLING = [name for name in ADVERSARIAL if hasattr(MODELS[name], "sample")]


def settings(**changes):
    register()
    return replace(compose_job([]).config.watch, **changes)


class Painter(nn.Module):
    """A model of two players whose samples lie within `width` of a grey image."""

    def __init__(self, width=1.0):
        super().__init__()
        self.width = width

    def players(self):
        return {"judge": self, "painter": self}

    def sample(self, num_samples):
        return 0.5 + self.width * (torch.rand(num_samples, 1, 4, 4) - 0.5)


class Stage:
    """A trainer as far as the watch looks at it, and what it was told."""

    def __init__(self, watch, model=None, log_every=10):
        self.watch, self.model, self.alarms = watch, model or Painter(), []
        self.step, self.stop_reason, self.rollback_state, self.lr_scale = 0, None, None, 1.0
        self.settings = SimpleNamespace(log_every=log_every)
        torch.manual_seed(7)
        images = Batch({"image": torch.rand(64, 1, 4, 4)}, seed=0)
        self.validation_loader = SimpleNamespace(evenly_spaced=images.head)
        self.train_loader = SimpleNamespace(seed=0, device=lab.CPU)
        self.seed, self.ema, self.optimization = 0, None, SimpleNamespace(autocast=nullcontext())

    def emit(self, event, alarm):
        assert event == "on_alarm"
        self.alarms.append(alarm)

    def row(self, **scalars):
        """The next row of metrics, with what the watch adds."""
        self.step += self.settings.log_every
        row = {"step": self.step} | {name.replace("__", "/"): value for name, value in scalars.items()}
        return row | self.watch.extra_metrics(self, row)

    @property
    def kinds(self):
        return [alarm.kind for alarm in self.alarms]


def stage(tmp_path, model=None, classify=None, **changes):
    return Stage(Watch(settings(**changes), RunFolder(tmp_path), classify), model)


def test_a_player_that_is_never_wrong_for_long_raises_one_alarm_until_it_is_wrong_again(tmp_path):
    run = stage(tmp_path, accuracy_bound=0.9, accuracy_steps=30)
    for accuracy in (0.95, 0.95, 0.8, 0.95, 0.95):
        run.row(train__judge__accuracy=accuracy)
    assert run.alarms == [], "never 30 steps on end"
    for _ in range(5):
        run.row(train__judge__accuracy=0.95)
    (alarm,) = run.alarms
    assert (alarm.step, alarm.kind, alarm.value, alarm.bound, alarm.action) == (60, "accuracy", 0.95, 0.9, "warn")
    run.row(train__judge__accuracy=0.5)
    for _ in range(3):
        run.row(train__judge__accuracy=0.99)
    assert [alarm.step for alarm in run.alarms] == [60, 140]


def test_of_several_judges_the_surest_counts(tmp_path):
    run = stage(tmp_path, accuracy_bound=0.9, accuracy_steps=10)
    run.row(train__judges__accuracy__a=0.5, train__judges__accuracy__b=0.95, train__judges__inaccuracy=1.0)
    assert [alarm.value for alarm in run.alarms] == [0.95]


def test_gradients_are_held_against_their_own_median(tmp_path):
    run = stage(tmp_path, gradient_factor=50)
    for number in range(10):
        row = run.row(gradient_norm__judge=1.0 + number % 3, gradient_norm__painter=1e-3)
    assert not any(name.startswith("watch/gradient") for name in row), "ten rows are needed to have an opinion"
    row = run.row(gradient_norm__judge=60.0, gradient_norm__painter=1e-3)
    assert row["watch/gradient/judge"] == pytest.approx(30) and run.alarms == []
    run.row(gradient_norm__judge=2.0, gradient_norm__painter=0.1)
    assert run.kinds == ["gradient"] and run.alarms[0].value == pytest.approx(100)


def test_diversity_is_the_spread_of_samples_over_that_of_data(tmp_path):
    run = stage(tmp_path, warmup=0, every=10, diversity_bound=0.6)
    assert run.row()["watch/diversity"] == pytest.approx(1, abs=0.1), "both are uniform noise"
    run.model.width = 0.5
    assert run.row()["watch/diversity"] == pytest.approx(0.5, abs=0.05)
    run.row()
    assert [(alarm.step, alarm.kind) for alarm in run.alarms] == [(20, "diversity")]


def test_a_look_is_taken_every_so_many_steps_and_counts_after_the_warmup(tmp_path):
    run = stage(tmp_path, Painter(width=0.1), warmup=75, every=25)
    looked = [run.step for _ in range(10) if "watch/diversity" in run.row()]
    assert looked == [30, 50, 80, 100]
    assert [alarm.step for alarm in run.alarms] == [80]


def test_as_many_images_are_looked_at_as_the_settings_say(tmp_path):
    run = stage(tmp_path, warmup=0, every=10, num_samples=30)
    run.row()
    assert run.watch.diversity.images.size == 30


def by_brightness(border):
    """A classifier that knows a thousand classes and sees two: images whose first pixel is above `border`, others."""
    return lambda x: torch.eye(1000)[(x[:, 0, 0, 0] > border).long()]


def test_classes_of_samples_are_held_against_those_of_the_data_balanced_or_not(tmp_path):
    run = stage(tmp_path, classify=by_brightness(0.8), warmup=0, every=10, num_samples=64, diversity_bound=0)
    seen = by_brightness(0.8)(run.validation_loader.evenly_spaced(64)["image"]).mean(0)[1]
    assert 0.05 < seen < 0.35, "few of the data are bright"
    assert run.row()["watch/class_entropy"] == pytest.approx(1, abs=0.4) and run.alarms == []
    run.model.width = 0.0
    assert run.row()["watch/class_entropy"] == 0
    assert run.kinds == ["class_entropy"]


def test_data_of_one_class_tells_nothing_about_the_classes_of_samples(tmp_path):
    run = stage(tmp_path, classify=by_brightness(2), warmup=0, every=10)
    assert "watch/class_entropy" not in run.row() and run.alarms == []


def test_samples_that_are_no_numbers_are_not_diverse(tmp_path):
    run = stage(tmp_path, Painter(width=math.nan), warmup=0, every=10)
    run.row()
    assert run.kinds == ["diversity"]


def test_a_single_sample_has_no_spread_and_is_refused():
    wrong = lab.compose(ADVERSARIAL[0], "watch.num_samples=1")
    assert list(limit_problems(wrong)) == ["watch.num_samples=1: must be at least 2"]


def test_models_of_one_player_are_left_alone(tmp_path):
    class Lonely(Painter):
        def players(self):
            return {"model": self}

    run = stage(tmp_path, Lonely(width=0.0), warmup=0, every=10, gradient_factor=1, accuracy_bound=0)
    row = run.row(gradient_norm__model=1.0, train__accuracy=1.0)
    assert row == {"step": 10, "gradient_norm/model": 1.0, "train/accuracy": 1.0} and run.alarms == []


def test_an_alarm_says_step_kind_value_bound_and_what_to_try(tmp_path, caplog):
    run = stage(tmp_path, Painter(width=0.0), warmup=0, every=10)
    with caplog.at_level(logging.WARNING, "genlab"):
        run.row()
    assert (
        "step 10: alarm: diversity 0 is below 0.7 (action: warn). Samples are alike: lower optimizer.lr" in caplog.text
    )


def test_stopping_ends_the_run_with_a_reason(tmp_path):
    run = stage(tmp_path, Painter(width=0.0), warmup=0, every=10, action="stop")
    run.row()
    assert run.stop_reason == "watch: alarm of diversity" and run.alarms[0].action == "stop"


def test_without_a_checkpoint_a_rollback_is_a_stop(tmp_path):
    run = stage(tmp_path, Painter(width=0.0), warmup=0, every=10, action="rollback")
    run.row()
    assert run.rollback_state is None and "no checkpoint to go back to" in run.stop_reason


FREQUENT = ["trainer.batch_size=8", "trainer.max_steps=6", "trainer.log_every=2", "trainer.ema=0.9"]
EAGER = {"every": 2, "num_samples": 8, "warmup": 0, "gradient_factor": 1.0, "accuracy_bound": 0.0, "accuracy_steps": 4}


def watched(config, folder, **changes):
    """The run of a small model whose watch looks at every row."""
    trainer = lab.trainer(config)
    trainer = lab.with_files(trainer, config, trainer.model.data, folder)
    trainer.events.callbacks.insert(0, Watch(settings(**EAGER | changes), RunFolder(folder)))
    return trainer


@pytest.mark.parametrize("model", ADVERSARIAL)
def test_watching_does_not_touch_training(model, tmp_path):
    config = lab.compose(model, *FREQUENT)
    observed, alone = watched(config, tmp_path), lab.trainer(config)
    observed.fit()
    lab.run_steps(alone, 6)
    assert not list(lab.differences(alone.model.state_dict(), observed.model.state_dict()))
    assert observed.events.callbacks[0].active, "it had something to say"


class Told(Callback):
    key = "told"

    def __init__(self):
        self.alarms = []

    def on_alarm(self, trainer, alarm):
        self.alarms.append(alarm)


@pytest.mark.parametrize("model", ADVERSARIAL)
def test_a_resumed_run_raises_the_alarms_of_an_unbroken_one(model, tmp_path):
    config = lab.compose(model, *FREQUENT)
    whole, resumed = watched(config, tmp_path / "whole"), watched(config, tmp_path / "resumed")
    for trainer in (whole, resumed):
        trainer.events.callbacks.append(Told())
    whole.fit()
    shutil.copy(tmp_path / "whole/metrics.jsonl", tmp_path / "resumed")
    load_state_dict(resumed, checkpoint.load(tmp_path / "whole/checkpoints/step_0000003.pt"))
    resumed.fit()
    assert not list(lab.differences(state_dict(whole), state_dict(resumed)))
    later = [alarm for alarm in whole.events.callbacks[-1].alarms if alarm.step > 3]
    assert resumed.events.callbacks[-1].alarms == later


def test_a_run_resumed_after_a_rollback_is_the_one_that_went_on(tmp_path):
    config = lab.compose(SAMPLING[0], *FREQUENT)
    always = {"action": "rollback", "max_rollbacks": 1, "every": 6, "warmup": 6, "diversity_bound": 1e9}
    always |= {"gradient_factor": 1e9, "accuracy_bound": 1.0}
    whole, resumed = (watched(config, tmp_path / name, **always) for name in ("whole", "resumed"))

    class Keep(Callback):
        key = "keep"

        def on_rollback(self, trainer):
            self.state = checkpoint.load(tmp_path / "whole/checkpoints/last.pt")

    whole.events.callbacks.append(keep := Keep())
    whole.fit()
    shutil.copy(tmp_path / "whole/metrics.jsonl", tmp_path / "resumed")
    assert (keep.state["step"], keep.state["lr_scale"], whole.step) == (5, 0.5, 6)
    resumed.events.callbacks.append(Keep())
    load_state_dict(resumed, keep.state)
    resumed.fit()
    assert resumed.stop_reason == whole.stop_reason == "watch: alarm of diversity after 1 rollbacks"
    assert not list(lab.differences(state_dict(whole), state_dict(resumed)))
    assert rows(tmp_path / "resumed") == rows(tmp_path / "whole")


def test_an_interrupt_after_a_rollback_saves_the_steps_since(tmp_path):
    trainer = watched(lab.compose(ADVERSARIAL[0], *FREQUENT), tmp_path)
    trainer.fit()
    (checkpoints,) = (callback for callback in trainer.events.callbacks if callback.key == "checkpoints")
    end = trainer.step  # which is saved, and reached again after the rollback
    trainer.step = 2
    checkpoints.on_rollback(trainer)
    assert checkpoint.load(tmp_path / "checkpoints/last.pt")["step"] == 2
    trainer.step = end
    checkpoints.on_interrupt(trainer)
    assert checkpoint.load(tmp_path / "checkpoints/last.pt")["step"] == end


CALM = {"gradient_factor": 1e9, "accuracy_bound": 1.0, "warmup": 1000}


def spoilt(trainer, step):
    """`trainer`, whose losses are NaN at `step` when it first comes there."""
    honest, spoils = trainer.model.training_step, [math.nan]

    def training_step(batch, number):
        factor = spoils.pop() if number + 1 == step and spoils else 1.0
        for update in honest(batch, number):
            yield replace(update, loss=update.loss * factor)

    trainer.model.training_step = training_step
    trainer.events.callbacks.insert(1, told := Told())
    return trainer, told


def test_losses_that_are_not_finite_are_a_reason_to_go_back(tmp_path):
    config = lab.compose(ADVERSARIAL[0], *FREQUENT)
    trainer, told = spoilt(watched(config, tmp_path, action="rollback", rollback_lr_factor=0.1, **CALM), step=3)
    trainer.fit()
    (alarm,) = told.alarms
    assert (alarm.step, alarm.kind, alarm.bound) == (4, "not_finite", 0) and alarm.action.startswith("rollback 1 to ")
    assert "became nan at step 3" in alarm.advice and "became nan at step 3" in str(alarm)
    logged = [row for row in rows(tmp_path) if "epoch" in row or "rollback" in row]
    assert [(row["step"], row.get("rollback")) for row in logged] == [(2, None), (2, 4), (4, None), (6, None)]
    assert (trainer.step, trainer.stop_reason, trainer.lr_scale) == (6, None, 0.1)
    assert all(value.isfinite().all() for value in trainer.model.state_dict().values())
    assert trainer.metric_window.finite(), "nothing of the steps given up is left"


def test_losses_that_are_not_finite_stop_a_run_that_is_to_stop(tmp_path):
    trainer, told = spoilt(watched(lab.compose(ADVERSARIAL[0], *FREQUENT), tmp_path, action="stop", **CALM), step=3)
    trainer.fit()
    assert (trainer.step, trainer.stop_reason) == (4, "watch: alarm of not_finite")
    assert [alarm.action for alarm in told.alarms] == ["stop"]
    assert checkpoint.load(tmp_path / "checkpoints/last.pt")["step"] == 2, "nothing broken is saved"


def test_losses_that_are_not_finite_raise_an_alarm_before_the_run_fails(tmp_path):
    trainer, told = spoilt(watched(lab.compose(ADVERSARIAL[0], *FREQUENT), tmp_path, **CALM), step=3)
    with pytest.raises(TrainingDiverged, match="became nan at step 3"):
        trainer.fit()
    assert [(alarm.kind, alarm.action) for alarm in told.alarms] == [("not_finite", "warn")]


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def rolled_back(tmp_path, name, *overrides):
    """A whole run that goes back from step 6 to the checkpoint of step 4 and does it again with other noise."""
    config = lab.compose(
        SAMPLING[0],
        *lab.small_data(),
        *FREQUENT,
        "logger.tensorboard=true",
        "trainer.checkpoint_every=4",
        "watch.action=rollback",
        "watch.max_rollbacks=1",
        "watch.every=6",
        "watch.warmup=6",
        "watch.diversity_bound=1e9",
        *overrides,
    )
    train(config, RunFolder(tmp_path / name))
    return tmp_path / name


def test_a_rollback_repeats_steps_with_other_noise_and_lower_rates_and_says_so(tmp_path):
    folder = rolled_back(tmp_path, "run", "watch.rollback_lr_factor=0.1")
    logged = [row for row in rows(folder) if "validation/diversity" not in row]
    assert [(row["step"], row.get("rollback")) for row in logged] == [
        *[(2, None), (4, None), (6, None)],
        *[(4, 6), (6, None)],
    ]
    given_up, again = logged[2], logged[4]
    rates = [name for name in again if name.startswith("learning_rate/")]
    assert [again[name] for name in rates] == pytest.approx([0.1 * given_up[name] for name in rates])
    assert all(again[name] != given_up[name] for name in again if name.endswith("/loss"))
    status = json.loads((folder / "status.json").read_text())
    first, last = status["alarms"]
    assert (first["step"], first["kind"], first["bound"]) == (6, "diversity", 1e9)
    assert first["action"].startswith("rollback 1 to step 4, seed 1000003") and last["action"] == "stop"
    assert (status["status"], status["step"]) == ("finished", 6)
    assert status["reason"] == "watch: alarm of diversity after 1 rollbacks"
    assert "rollback 1 to step 4" in (folder / "train.log").read_text()
    state = checkpoint.load(folder / "checkpoints/last.pt")
    assert sorted(path.name for path in (folder / "checkpoints").glob("step_*.pt")) == [
        "step_0000004.pt",
        "step_0000006.pt",
    ]
    assert (state["step"], state["seed"], state["callbacks"]["watch"]["rollbacks"]) == (6, 1_000_003, 1)


def test_tensorboard_shows_the_alarm_and_no_step_twice(tmp_path):
    folder = rolled_back(tmp_path, "run")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("alarm/diversity")] == [4, 6]
    assert [event.step for event in events.Scalars("watch/diversity")] == [6]
