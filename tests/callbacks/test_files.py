"""Which checkpoints are kept, when a run stops early, and what its status tells. Other files: `cli/test_runs.py`."""

import json
import math
import re
from types import SimpleNamespace

import lab
import pytest
import torch

from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.metrics_file import MetricsFile
from genlab.callbacks.previews import Previews
from genlab.callbacks.status_file import StatusFile
from genlab.callbacks.validation import EarlyStopping
from genlab.callbacks.watch import Alarm
from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import RunStatus
from genlab.comparison.records import read_run
from genlab.runs.processes import RunFailed
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.system import files
from genlab.training.callback import Measurement
from genlab.training.events import Events
from genlab.training.scalars import ScalarWindow, TrainingDiverged


def stub(step=0, max_steps=10, **metrics):
    """A trainer as far as callbacks look at it. Its one weight is the number of the step."""
    model = SimpleNamespace(
        metrics=metrics or {"elbo": "max", "mse": "min"},
        state_dict=lambda: {"weight": torch.full((2,), float(trainer.step))},
    )
    state = {"step": step, "max_steps": max_steps, "stop_reason": None, "lr_scale": 1.0, "ema": None}
    loader = SimpleNamespace(seed=0, order=SimpleNamespace(state_dict=dict))
    optimization = SimpleNamespace(state_dict=dict)
    parts = {"train_loader": loader, "optimization": optimization, "metric_window": ScalarWindow(), "events": Events()}
    trainer = SimpleNamespace(**state, **parts, model=model, emit=lambda event, *arguments: None)
    return trainer


def walk(callbacks, scores, **metrics):
    """Tell callbacks of a run with one validation a step."""
    trainer = stub(max_steps=len(scores), **metrics)
    for callback in callbacks:
        callback.on_start(trainer)
    for step, score in enumerate(scores, 1):
        trainer.step = step
        for callback in callbacks:
            if score is not None:
                callback.on_validate(trainer, score)
            callback.on_step_end(trainer)
        if trainer.stop_reason:
            break
    return trainer


@pytest.mark.parametrize("every, steps", [(3, [3, 6, 9, 10]), (5, [5, 10]), (None, [10])])
def test_measures_when_due_and_once_at_the_end(every, steps):
    measured = []

    class Measured(Measurement):
        def measure(self, trainer):
            measured.append(trainer.step)

    callback = Measured(every)
    for step in range(1, 11):
        callback.on_step_end(stub(step))
    callback.on_last_step(stub(10))
    assert measured == steps


@pytest.mark.parametrize("every, steps", [(300, [1, 100, 300, 500, 600]), (50, [1, *range(50, 601, 50)]), (None, [])])
def test_previews_come_early_then_every_so_many_steps(every, steps, tmp_path):
    assert [step for step in range(1, 601) if Previews(tmp_path, every).due(stub(step))] == steps


def checkpoints(folder, every, keep):
    return Checkpoints(RunFolder(folder), every, keep, constants={"config": {"a": 1}})


def steps_of(folder):
    return {file.name: checkpoint.load(file)["step"] for file in (folder / "checkpoints").glob("*.safetensors")}


def test_keeps_the_last_few_checkpoints_and_the_best(tmp_path):
    scores = [{"elbo": score, "mse": 0.0} for score in (-9.0, -5.0, -7.0, -8.0, -6.0, -6.5)]
    walk([checkpoints(tmp_path, every=2, keep=2)], scores)
    assert steps_of(tmp_path) == {
        "step_0000004.safetensors": 4,
        "step_0000006.safetensors": 6,
        "last.safetensors": 6,
        "best.safetensors": 2,
    }
    assert checkpoint.load(tmp_path / "checkpoints/last.safetensors")["config"] == {"a": 1}


def test_direction_and_rank_of_metrics_count(tmp_path):
    scores = [{"fid": 9.0, "other": 1.0}, {"fid": 2.0, "other": 2.0}, {"fid": 5.0, "other": 9.0}]
    walk([checkpoints(tmp_path, every=1, keep=9)], scores, unmeasured="max", fid="min", other="max")
    assert steps_of(tmp_path)["best.safetensors"] == 2


@pytest.mark.parametrize("value, direction", [(math.nan, "min"), (math.inf, "max"), (-math.inf, "min")])
def test_values_that_are_not_finite_are_never_the_best_and_hide_no_better_one(value, direction, tmp_path):
    sign = 1 if direction == "max" else -1
    scores = [{"metric": number} for number in (sign * 1.0, value, sign * 2.0, value, sign * 1.5)]
    saving = checkpoints(tmp_path, every=1, keep=9)
    walk([saving], scores, metric=direction)
    assert steps_of(tmp_path)["best.safetensors"] == 3 and saving.best == 2.0


def test_early_stopping_takes_nan_for_no_improvement_and_keeps_the_best():
    stopping = EarlyStopping("metric", "min", patience=3)
    trainer = walk([stopping], [{"metric": value} for value in (2.0, math.nan, -math.inf, 1.0, math.nan, 1.5, 1.2)])
    assert trainer.step == 7 and trainer.stop_reason and stopping.best == -1.0


def test_nothing_is_saved_while_a_loss_that_is_not_finite_awaits_the_row_that_tells(tmp_path):
    saving, trainer = checkpoints(tmp_path, every=1, keep=3), stub(step=1)
    trainer.metric_window.add(1, {"loss": torch.tensor(math.nan)})
    saving.on_validate(trainer, {"elbo": 1.0})
    saving.on_step_end(trainer)
    assert steps_of(tmp_path) == {} and not saving.improved


def test_between_checkpoints_the_best_is_kept_alone_and_none_without_a_metric(tmp_path):
    walk([checkpoints(tmp_path, every=1, keep=0)], [{}, {}])
    assert steps_of(tmp_path) == {"last.safetensors": 2}
    walk([checkpoints(tmp_path, every=None, keep=0)], [{"elbo": -9.0}, {"elbo": -3.0}, {"elbo": -4.0}])
    assert steps_of(tmp_path) == {"last.safetensors": 3, "best.safetensors": 2}


def test_a_disk_that_cannot_hold_a_checkpoint_is_told_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: SimpleNamespace(free=7))
    with pytest.raises(ValueError, match=r"a checkpoint: needs 8 bytes, and the disk of .* has 7 bytes"):
        checkpoints(tmp_path, every=None, keep=1).on_start(stub())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_never_saves_broken_weights(value, tmp_path):
    callback, trainer = checkpoints(tmp_path, every=1, keep=3), stub(step=1)
    callback.on_start(trainer)
    callback.on_step_end(trainer)
    trainer.step, trainer.model.state_dict = 2, lambda: {"a": torch.ones(1), "b": torch.tensor(value)}
    with pytest.raises(TrainingDiverged, match="weight b became infinite or NaN by step 2"):
        callback.on_step_end(trainer)
    assert steps_of(tmp_path) == {"step_0000001.safetensors": 1, "last.safetensors": 1}


def test_never_saves_broken_averages(tmp_path):
    callback, trainer = checkpoints(tmp_path, every=1, keep=3), stub(step=1)
    trainer.ema = SimpleNamespace(state_dict=lambda: {"a": torch.tensor(math.inf)})
    callback.on_start(trainer)
    with pytest.raises(TrainingDiverged, match="weight a became infinite or NaN by step 1"):
        callback.on_step_end(trainer)


def test_early_stopping_carries_its_count_over_a_resume():
    first = EarlyStopping("mse", "min", patience=2)
    walk([first], [{"mse": 1.0}, {"mse": 2.0}])
    second = EarlyStopping("mse", "min", patience=2)
    second.load_state_dict(first.state_dict())
    assert walk([second], [{"mse": 1.0}]).stop_reason


def test_status_tells_where_a_run_is(tmp_path):
    file = tmp_path / "status.json"
    status, trainer = RunStatus(file, {"validation/mse": "min"}), stub(max_steps=100)
    callback = StatusFile(status)
    callback.on_start(trainer)
    entry = json.loads(file.read_text())
    assert (entry["status"], entry["step"], entry["reason"]) == ("running", 0, None)
    trainer.step = 50
    callback.on_log(trainer, {})
    callback.on_validate(trainer, {"mse": 0.5})
    status.write("failed", "loss became nan at step 51")
    entry = json.loads(file.read_text())
    assert (entry["status"], entry["step"], entry["reason"]) == ("failed", 50, "loss became nan at step 51")
    assert entry["final"] == {"validation/mse": 0.5} and entry["directions"] == {"validation/mse": "min"}
    assert entry["steps_per_second"] > 0 and entry["seconds_left"] >= 0


def test_a_run_that_is_stopped_early_says_why(tmp_path):
    stopping = ["validate_every=1", "early_stop_metric=mse", "early_stop_patience=2"]
    still = [*lab.small_data(), "optimizer.lr=0", "trainer.max_steps=50"]
    config = lab.compose("vae", *still, *(f"trainer.{setting}" for setting in stopping))
    train(config, RunFolder(tmp_path / "run"))
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["status"], status["step"]) == ("finished", 3)
    assert status["reason"] == "validation/mse has not improved for 2 validations"
    assert checkpoint.load(tmp_path / "run/checkpoints/last.safetensors")["step"] == 3


def strict(text):
    """JSON without the NaN that Python's own writer and reader take."""
    return json.loads(text, parse_constant=lambda token: pytest.fail(token))


def test_a_run_that_ends_in_nan_has_failed_and_says_so_in_files_and_at_resume(tmp_path, monkeypatch, capsys):
    """The losses and the weights are finite; the validation overflows."""
    overflowing = ["optimizer.lr=1e30", "trainer.max_steps=1", "logger.tensorboard=true"]
    config = lab.compose("ae", *lab.small_data(), *overflowing)
    folder, reason = RunFolder(tmp_path / "run"), "validation/mse became nan at step 1"
    for _ in range(2):
        with pytest.raises(RunFailed, match=reason):
            train(config, folder, Start(folder.last) if folder.last.exists() else None)
        status = strict(folder.status.read_text())
        assert status["status"] == "failed" and status["reason"].startswith(reason) and status["final"] == {}
        rows = [strict(line) for line in folder.metrics.read_text().splitlines()]
        assert {"step": 1, "validation/mse": None} in rows
        assert not folder.best.exists()
    assert StoppedRun.read(folder.path).state.startswith(f"failed: {reason}")
    record = read_run(folder.path, "run")
    assert record.status == "failed" and record.metrics == record.curves == {}


def test_the_status_keeps_no_value_of_before_the_last_measurement_and_none_that_is_not_finite(tmp_path):
    status, trainer = RunStatus(tmp_path / "status.json", {}), stub()
    callback = StatusFile(status)
    callback.on_validate(trainer, {"mse": 0.5, "psnr": 9.0})
    callback.on_evaluate(trainer, {"mmd": {"value": 0.1}, "recall": {"value": 0.2}})
    callback.on_validate(trainer, {"mse": math.nan, "psnr": 8.0})
    callback.on_evaluate(trainer, {"mmd": {"value": math.nan}, "recall": {"value": 0.3}})
    callback.on_alarm(trainer, Alarm(1, "gradient", math.inf, 9.0, "warn", "advice"))
    entry = strict((tmp_path / "status.json").read_text())
    assert entry["final"] == {"validation/psnr": 8.0, "evaluation/recall": 0.3} and entry["alarms"][0]["value"] is None


def test_an_evaluation_without_a_value_ends_nothing_and_is_never_the_best(tmp_path):
    saving, trainer = Checkpoints(RunFolder(tmp_path), 1, 3, {}, "evaluation/mmd"), stub(step=1)
    saving.on_start(trainer)
    saving.on_evaluate(trainer, {"mmd": {"value": math.nan, "direction": "min"}})
    assert not saving.improved


def test_rows_and_status_hold_no_nan(tmp_path):
    """Not every reader takes what Python writes for it."""
    rows, status = MetricsFile(tmp_path / "metrics.jsonl"), RunStatus(tmp_path / "status.json", {})
    for callback in (rows, StatusFile(status)):
        callback.on_validate(stub(), {"elbo": math.nan, "mse": math.inf})
    status.write("finished")
    for path in (rows.path, status.path):
        assert "null" in path.read_text() and not {"NaN", "Infinity"} & set(re.findall(r"\w+", path.read_text()))


def test_an_evaluation_that_lacks_the_best_metric_does_not_end_the_run(tmp_path):
    saving = Checkpoints(RunFolder(tmp_path), 5, 1, {}, "evaluation/mmd")
    for entries in ({"mmd": {"value": 2.0, "direction": "min"}}, {"frechet": {"value": 1.0, "direction": "min"}}):
        saving.on_evaluate(stub(), entries)
    assert saving.best == -2.0
