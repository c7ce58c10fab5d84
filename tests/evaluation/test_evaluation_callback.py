"""Measuring sample quality in training: rows, status, `best.safetensors`, and no trace in the weights."""

import json

import lab
import pytest

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.config.compose import RequestError
from genlab.evaluation import classifier
from genlab.runs.check import check
from genlab.runs.train import train

SETTINGS = [
    "dataset=digits",
    "trainer.batch_size=32",
    "trainer.max_steps=6",
    "trainer.log_every=2",
    "trainer.checkpoint_every=2",
    "logger.tensorboard=true",
    "evaluation.num_samples=200",
    "evaluation.extractor=random-conv",
    "evaluation.metrics=[frechet,manifold]",
]


def run(folder, *overrides):
    config = lab.compose("gan", *SETTINGS, *overrides)
    check(config, folder)
    return train(config, RunFolder(folder))


def test_measures_every_so_many_steps_and_chooses_the_best_by_it(tmp_path):
    final = run(tmp_path / "a", "trainer.evaluate_every=2", "trainer.best_metric=evaluation/frechet_distance")
    rows = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    measured = {row["step"]: row["evaluation/frechet_distance"] for row in rows if "evaluation/precision" in row}
    assert list(measured) == [2, 4, 6]
    assert final["evaluation/frechet_distance"] == measured[6]
    best = checkpoint.load(tmp_path / "a/checkpoints/best.safetensors")["step"]
    assert measured[best] == min(measured.values())


def test_measuring_changes_nothing_that_is_learnt(tmp_path):
    run(tmp_path / "a", "trainer.evaluate_every=2")
    run(tmp_path / "b")
    a, b = (checkpoint.load(tmp_path / name / "checkpoints/last.safetensors") for name in "ab")
    assert not list(lab.differences(a["model"], b["model"])) and not list(lab.differences(a["ema"], b["ema"]))


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["trainer.best_metric=frechet"], "trainer.best_metric=frechet: .*validation/ or evaluation/"),
        (["trainer.best_metric=validation/elbo"], "trainer.best_metric=validation/elbo: "),
        (["trainer.best_metric=evaluation/mmd"], "trainer.best_metric=.*trainer.evaluate_every=STEPS"),
        (["trainer.evaluate_every=2", "evaluation.metrics=[frechett]"], "evaluation.metrics=frechett: .*'frechet'"),
        (["trainer.evaluate_every=2", "trainer.best_metric=evaluation/mmd"], "evaluation/mmd: .*coverage, den"),
    ],
)
def test_refuses_before_the_run_what_will_not_be_measured(overrides, message, tmp_path):
    with pytest.raises(RequestError, match=message):
        run(tmp_path / "a", *overrides)
    assert not (tmp_path / "a").exists()


def test_the_watch_reads_classes_where_the_evaluation_does(tmp_path, monkeypatch):
    monkeypatch.setitem(classifier.RECIPE, "steps", 5)
    reading = ["trainer.evaluate_every=6", "evaluation.extractor=classifier", "watch.every=2"]
    run(tmp_path / "a", *reading)
    rows = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    entropies = [row["watch/class_entropy"] for row in rows if "watch/class_entropy" in row]
    assert len(entropies) == 3 and all(0 <= value <= 1.01 for value in entropies)
