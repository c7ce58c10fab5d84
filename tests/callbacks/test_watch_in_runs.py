"""The watch in a run: it touches no training, is resumed, and goes back, stops or fails where it should."""

import json
import math
import shutil
from dataclasses import replace

import lab
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from test_watch import GAMES, PAINTER, Told, settings

from genlab.callbacks.watch import Watch
from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.training.callback import Callback
from genlab.training.scalars import TrainingDiverged
from genlab.training.state import load_state_dict, state_dict

FREQUENT = ["trainer.batch_size=8", "trainer.max_steps=6", "trainer.log_every=2", "trainer.ema=0.9"]
EAGER = {"every": 2, "num_samples": 8, "warmup": 0, "gradient_factor": 1.0, "accuracy_bound": 0.0, "accuracy_steps": 4}


def watched(config, folder, **changes):
    """The run of a small model whose watch looks at every row."""
    trainer = lab.trainer(config)
    trainer = lab.with_files(trainer, config, trainer.model.data, folder)
    trainer.events.callbacks.insert(0, Watch(settings(**EAGER | changes), RunFolder(folder)))
    trainer.events.callbacks.append(Told())
    return trainer


@pytest.mark.parametrize("model", GAMES)
def test_watching_touches_no_training_and_a_resumed_run_raises_the_same_alarms(model, tmp_path):
    config = lab.compose(model, *FREQUENT)
    whole, resumed = (watched(config, tmp_path / name) for name in ("whole", "resumed"))
    alone = lab.trainer(config)
    whole.fit()
    lab.run_steps(alone, 6)
    assert not list(lab.differences(alone.model.state_dict(), whole.model.state_dict()))
    assert whole.events.callbacks[0].active, "it had something to say"
    shutil.copy(tmp_path / "whole/metrics.jsonl", tmp_path / "resumed")
    load_state_dict(resumed, checkpoint.load(tmp_path / "whole/checkpoints/step_0000003.safetensors"))
    resumed.fit()
    assert not list(lab.differences(state_dict(whole), state_dict(resumed)))
    later = [alarm for alarm in whole.events.callbacks[-1].alarms if alarm.step > 3]
    assert resumed.events.callbacks[-1].alarms == later


def test_a_run_resumed_after_a_rollback_is_the_one_that_went_on(tmp_path):
    config = lab.compose(PAINTER, *FREQUENT)
    always = {"action": "rollback", "max_rollbacks": 1, "every": 6, "warmup": 6, "diversity_bound": 1e9}
    always |= {"gradient_factor": 1e9, "accuracy_bound": 1.0}
    whole, resumed = (watched(config, tmp_path / name, **always) for name in ("whole", "resumed"))

    class Keep(Callback):
        key = "keep"

        def on_rollback(self, trainer):
            self.state = checkpoint.load(tmp_path / "whole/checkpoints/last.safetensors")

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
    trainer = watched(lab.compose(PAINTER, *FREQUENT), tmp_path)
    trainer.fit()
    (checkpoints,) = (callback for callback in trainer.events.callbacks if callback.key == "checkpoints")
    end = trainer.step  # which is saved, and reached again after the rollback
    trainer.step = 2
    checkpoints.on_rollback(trainer)
    assert checkpoint.load(tmp_path / "checkpoints/last.safetensors")["step"] == 2
    trainer.step = end
    checkpoints.on_interrupt(trainer)
    assert checkpoint.load(tmp_path / "checkpoints/last.safetensors")["step"] == end


CALM = {"gradient_factor": 1e9, "accuracy_bound": 1.0, "warmup": 1000}


def spoilt(trainer, step):
    """`trainer`, whose losses are NaN at `step` when it first comes there, and what is told of it."""
    honest, spoils = trainer.model.training_step, [math.nan]

    def training_step(batch, number):
        factor = spoils.pop() if number + 1 == step and spoils else 1.0
        for update in honest(batch, number):
            yield replace(update, loss=update.loss * factor)

    trainer.model.training_step = training_step
    return trainer, trainer.events.callbacks[-1]


def test_losses_that_are_not_finite_are_a_reason_to_go_back(tmp_path):
    config = lab.compose(PAINTER, *FREQUENT)
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
    trainer, told = spoilt(watched(lab.compose(PAINTER, *FREQUENT), tmp_path, action="stop", **CALM), step=3)
    with pytest.raises(TrainingDiverged, match="became nan at step 3"):  # it ends in NaN: it has failed
        trainer.fit()
    assert trainer.step == 4
    assert [alarm.action for alarm in told.alarms] == ["stop"]
    assert checkpoint.load(tmp_path / "checkpoints/last.safetensors")["step"] == 2, "nothing broken is saved"


def test_losses_that_are_not_finite_raise_an_alarm_before_the_run_fails(tmp_path):
    trainer, told = spoilt(watched(lab.compose(PAINTER, *FREQUENT), tmp_path, **CALM), step=3)
    with pytest.raises(TrainingDiverged, match="became nan at step 3"):
        trainer.fit()
    assert [(alarm.kind, alarm.action) for alarm in told.alarms] == [("not_finite", "warn")]


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def few_event_files(monkeypatch):
    """TensorBoard sorts the files of one second and process by a number, as text: 10 comes before 9."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def going_back():
    """A run that goes back from step 6 to the checkpoint of step 4, once, and does it again."""
    often = ["watch.every=6", "watch.warmup=6", "watch.diversity_bound=1e9", "trainer.checkpoint_every=4"]
    back = ["watch.action=rollback", "watch.max_rollbacks=1", "watch.rollback_lr_factor=0.1"]
    return lab.compose(PAINTER, *lab.small_data(), *FREQUENT, *often, *back, "logger.tensorboard=true")


def test_a_rollback_repeats_steps_with_other_noise_and_lower_rates_and_says_so(tmp_path):
    folder = RunFolder(tmp_path / "run")
    train(going_back(), folder)
    logged = [row for row in rows(folder.path) if "validation/diversity" not in row]
    assert [(row["step"], row.get("rollback")) for row in logged] == [
        *[(2, None), (4, None), (6, None)],
        *[(4, 6), (6, None)],
    ]
    given_up, again = logged[2], logged[4]
    rates = [name for name in again if name.startswith("learning_rate/")]
    assert [again[name] for name in rates] == pytest.approx([0.1 * given_up[name] for name in rates])
    assert all(again[name] != given_up[name] for name in again if name.endswith("/loss"))
    status = json.loads(folder.status.read_text())
    first, last = status["alarms"]
    assert (first["step"], first["kind"], first["bound"]) == (6, "diversity", 1e9)
    assert first["action"].startswith("rollback 1 to step 4, seed 1000003") and last["action"] == "stop"
    assert (status["status"], status["step"]) == ("finished", 6)
    assert status["reason"] == "watch: alarm of diversity after 1 rollbacks"
    assert "rollback 1 to step 4" in (folder.path / "train.log").read_text()
    steps = sorted(path.name for path in (folder.path / "checkpoints").glob("step_*.safetensors"))
    assert steps == ["step_0000004.safetensors", "step_0000006.safetensors"]
    state = checkpoint.load(folder.path / "checkpoints/last.safetensors")
    assert (state["step"], state["seed"], state["callbacks"]["watch"]["rollbacks"]) == (6, 1_000_003, 1)
    shown = events(folder)
    assert [step for step, _ in shown["watch/alarm/diversity"]] == [5, 6], "repeated where the run goes on"
    assert [step for step, _ in shown["watch/diversity"]] == [6], "no step is shown twice"


def events(folder):
    """By tag, the steps and values that TensorBoard shows."""
    shown = EventAccumulator(str(folder.path)).Reload()
    tags = [tag for tag in shown.Tags()["scalars"] if not tag.startswith("system/")]
    return {tag: [(event.step, event.value) for event in shown.Scalars(tag)] for tag in tags}


def test_a_run_killed_while_a_rollback_is_saved_shows_no_alarm_twice(tmp_path, monkeypatch):
    config, save = going_back(), checkpoint.save
    whole, killed = (RunFolder(tmp_path / name) for name in ("whole", "killed"))
    train(config, whole)

    def kill(state, path):
        if state["lr_scale"] != 1:
            raise SystemExit
        save(state, path)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(checkpoint, "save", kill)
        train(config, killed)
    train(config, killed, StoppedRun.read(killed.path).start)
    assert events(killed) == events(whole)
    assert rows(killed.path) == rows(whole.path)
