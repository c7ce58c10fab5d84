"""A run says when others have taken its cores, and what to do."""

import logging
from types import SimpleNamespace

import pytest

from genlab.callbacks import speed
from genlab.callbacks.speed import Speed
from genlab.checkpoints.folder import RunFolder
from genlab.system import spin


@pytest.fixture
def run(monkeypatch, caplog, tmp_path):
    """`run(steps a second, others)` trains for three seconds; gives what was logged."""
    clock, others = [0.0], [0.0]
    neighbours = SimpleNamespace(capacity=2, look=lambda: others[0])
    monkeypatch.setattr(speed, "Neighbours", lambda processes: neighbours)
    monkeypatch.setattr(speed.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(spin, "spins", lambda: True)
    trainer, callback = SimpleNamespace(step=0), Speed(RunFolder(tmp_path), threads=2)
    callback.on_start(trainer)

    def train(rate, taken, measuring=0.0):
        caplog.clear()
        others[0] = taken
        for _ in range(3):
            clock[0] += 1
            trainer.step += rate
            callback.on_log(trainer, {})
            clock[0] += measuring
            callback.on_validate(trainer, {})
        return caplog.messages

    with caplog.at_level(logging.INFO, "genlab"):
        yield train


def test_it_is_told_once_and_again_after_a_recovery(run):
    for _ in range(8):
        assert not run(100, 0.1)
    (line,) = run(30, 1.0)
    assert "30 steps/s, usually 100: other processes take 1.0 of 2 cores" in line
    assert "genlab resume run=" in line and "device.spin=off" in line
    assert not run(30, 1.0)
    for _ in range(3):
        assert not run(100, 0.0)
    assert len(run(20, 1.5)) == 1


def test_what_others_did_not_cause_is_not_told(run):
    for _ in range(8):
        run(100, 0.1)
    assert not run(30, 0.1), "the run itself became slower"
    assert not run(90, 1.0), "others take cores, and it is as fast as before"
    assert not run(100, 1.0, measuring=50.0), "it measured"


def test_threads_that_sleep_are_not_put_to_sleep(run, monkeypatch):
    monkeypatch.setattr(spin, "spins", lambda: False)
    for _ in range(8):
        run(100, 0.1)
    (line,) = run(10, 2.0)
    assert "spin" not in line and "end them" in line
