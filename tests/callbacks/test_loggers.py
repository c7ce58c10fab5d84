"""Loggers: what they are given, what a resumed run sends, and what a failing one costs. Services are tried offline."""

import csv
import json
import logging
import os
from collections import Counter

import lab
import pytest

from genlab.callbacks.logger import RemoteLogger
from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.runs import callbacks as run_callbacks
from genlab.runs.train import train

OFTEN = ["log_every=1", "validate_every=2", "preview_every=3", "checkpoint_every=2", "keep_checkpoints=9"]
SHORT = [*lab.small_data(), "trainer.batch_size=8", *(f"trainer.{setting}" for setting in OFTEN)]


def run(folder, *settings, steps=4, start=None):
    """Train the default model for some steps, or go on from the checkpoint of the step `start`."""
    config = lab.compose("vae", *SHORT, f"trainer.max_steps={steps}", *settings)
    train(config, folder, Start(folder.numbered(start)) if start else None)


def rows(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def table(folder):
    """The rows of metrics.csv without their empty cells."""
    with folder.metrics_table.open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_the_table_has_the_rows_of_the_metrics_file_and_follows_it_over_a_resume(tmp_path):
    folder = RunFolder(tmp_path / "run")
    run(folder, "logger=csv")
    assert table(folder) == rows(folder)
    header = folder.metrics_table.read_text().splitlines()[0].split(",")
    assert header[:2] == ["step", "epoch"] and len(header) == len(set(header))
    run(folder, "logger=csv", steps=6, start=2)
    assert table(folder) == rows(folder) and rows(folder)[-1]["step"] == 6
    assert not list(folder.path.glob("events*"))


def test_a_table_that_is_asked_for_late_has_the_rows_of_before(tmp_path):
    folder = RunFolder(tmp_path / "run")
    run(folder)
    assert not folder.metrics_table.exists()
    run(folder, "logger=csv", steps=5, start=4)
    assert table(folder) == rows(folder) and rows(folder)[0]["step"] == 1


class Service(RemoteLogger):
    """A service that keeps what it is sent; `fails` at that call of `scalars`."""

    key = "service"

    def __init__(self, run, seen, fails=None):
        super().__init__(run)
        self.seen, self.fails, self.calls = seen, fails, 0

    def open(self, known):
        self.seen.append(("open", known))
        return known or "abc-1"

    def scalars(self, values, step):
        self.calls += 1
        if self.calls == self.fails:
            raise ConnectionError("the network\nis gone")
        self.seen += [(name, step) for name in values]

    def image(self, name, image, step):
        assert image.content.startswith(b"\x89PNG")
        self.seen.append((name, step))

    def close(self):
        self.seen.append(("close", self.run.status.state, dict(self.run.status.final)))


@pytest.fixture
def service(monkeypatch):
    """`service(**settings)`: from now on runs have one; what it is sent."""

    def use(**settings):
        seen = []
        monkeypatch.setattr(run_callbacks, "make_loggers", lambda _, run: [Service(run, seen, **settings)])
        return seen

    return use


def sent(seen):
    return Counter(entry for entry in seen if entry[0] not in ("open", "close"))


def test_a_service_is_sent_all_there_is_and_the_end(service, tmp_path):
    seen, folder = service(), RunFolder(tmp_path / "run")
    run(folder)
    expected = {(name, row["step"]) for row in rows(folder) for name in row if name != "step"}
    assert {entry for entry in sent(seen) if not entry[0].startswith("previews/")} == expected
    assert {step for name, step in sent(seen) if name.startswith("previews/")} == {1, 3, 4}
    kind, state, final = seen[-1]
    assert seen[0] == ("open", None) and (kind, state) == ("close", "finished") and "validation/elbo" in final


def test_a_resumed_run_goes_on_in_the_service_and_repeats_no_step(service, tmp_path):
    """As after a kill: the service had heard of steps that come after the last checkpoint."""
    seen, folder = service(), RunFolder(tmp_path / "run")
    run(folder)
    run(folder, steps=6, start=2)
    assert [entry for entry in seen if entry[0] == "open"] == [("open", None), ("open", "abc-1")]
    assert set(sent(seen).values()) == {1}
    assert {step for name, step in sent(seen) if name == "train/loss"} == set(range(1, 7))


def test_a_service_that_fails_costs_one_line_and_no_training(service, tmp_path, caplog):
    seen, folder = service(fails=3), RunFolder(tmp_path / "run")
    with caplog.at_level(logging.WARNING, "genlab"):
        run(folder)
    (record,) = caplog.records
    assert "service" in record.getMessage() and "the network is gone" in record.getMessage()
    assert {step for _, step in sent(seen)} <= {1, 2} and seen[-1][0] != "close"
    assert json.loads(folder.status.read_text())["status"] == "finished" and rows(folder)[-1]["step"] == 4


STRANGE = ["", "[]", '{"id": "../x", "sent": {}}', '{"id": 3}', '{"id": "a", "sent": {"b": "c"}}']


@pytest.mark.parametrize("content", STRANGE)
def test_a_damaged_or_strange_record_begins_a_new_run_there(content, service, tmp_path):
    seen, folder = service(), RunFolder(tmp_path / "run")
    run(folder, steps=2)
    folder.logger("service").write_text(content)
    run(folder, steps=3, start=2)
    assert [entry[1] for entry in seen if entry[0] == "open"] == [None, None]


def test_a_rollback_is_told_and_its_steps_are_sent_again(service, tmp_path):
    seen, folder = service(), RunFolder(tmp_path / "run")
    run(folder, steps=2)
    logger = Service(type("Record", (), {"folder": folder})(), seen)
    logger.begin(2)
    trainer = type("Trainer", (), {"step": 5})()
    logger.on_log(trainer, {"step": 5, "train/loss": 1.0})
    trainer.step = 3
    logger.on_log(trainer, {"step": 3, "rollback": 5})
    trainer.step = 5
    logger.on_log(trainer, {"step": 5, "train/loss": 2.0})
    assert sent(seen)["train/loss", 5] == 2 and sent(seen)["rollback", 3] == 1


def test_weights_and_biases_offline(tmp_path, monkeypatch):
    """A run is written, resumed as the same one, and leaves no symbolic link through which none would be resumed."""
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'genlab[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = RunFolder(tmp_path / "sweep/0")
    (tmp_path / "sweep").mkdir()
    run(folder, "logger.wandb=true", "logger.project=mine")
    first = json.loads(folder.logger("wandb").read_text())
    assert first["sent"]["row"] == 4
    run(folder, "logger.wandb=true", "logger.project=mine", steps=6, start=4)
    assert json.loads(folder.logger("wandb").read_text())["id"] == first["id"]
    stored = [path for path in folder.path.glob("wandb/offline-run-*/*.wandb") if first["id"] in path.name]
    assert len(stored) == 2 and not any(path.is_symlink() for path in folder.path.rglob("*"))
    assert list(folder.path.glob("wandb/offline-run-*/files/media/images/previews/*.png"))


@pytest.mark.parametrize("store", ["own", "given"])
def test_mlflow_in_a_store_of_files(store, tmp_path, monkeypatch):
    """All rows once, over a resume as well, with settings, images and the end."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'genlab[mlflow]'")
    if store == "given":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path / "run")
    run(folder, "logger=[mlflow]", "logger.project=mine")
    run(folder, "logger=[mlflow]", "logger.project=mine", steps=6, start=2)
    own = f"sqlite:///{folder.path}/mlflow/mlflow.db"
    client = mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or own)
    experiment = client.get_experiment_by_name("mine")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED" and found.data.params["trainer.batch_size"] == "8"
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "train/loss")] == [1, 2, 3, 4, 5, 6]
    final = json.loads(folder.status.read_text())["final"]
    assert found.data.metrics["validation/elbo"] == pytest.approx(final["validation/elbo"])
    assert client.list_artifacts(found.info.run_id, "images")
    if store == "own":
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run"], "it writes nowhere else"
