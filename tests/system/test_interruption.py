"""A signal lets a step end, breaks off what can be done again, and loses nothing."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import lab
import pytest

from genlab.checkpoints import file as checkpoint
from genlab.system.signals import Interrupted, Interruption, sparing_helpers
from genlab.training.callback import Callback
from genlab.training.state import load_state_dict, state_dict

SETTINGS = [
    "trainer.batch_size=32",
    "trainer.max_steps=7",
    "trainer.log_every=3",
    "trainer.validate_every=4",
    "trainer.checkpoint_every=100",
    "trainer.ema=0.5",
]
MODEL = lab.MODELS[0]


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


class Disturbance(Callback):
    """Sends a signal in a step's wake."""

    key = "disturbance"

    def __init__(self, step, number=signal.SIGTERM):
        self.step, self.number = step, number

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            send(self.number)


def fresh(folder):
    config = lab.compose(MODEL, *SETTINGS)
    source = lab.examples(config)
    return lab.with_files(lab.trainer(config, source), config, source.spec, folder)


def disturbed(trainer, number=signal.SIGTERM):
    """Fit until the signal that somebody sends."""
    with trainer.interruption.listening(), pytest.raises(Interrupted) as caught:
        trainer.fit()
    assert caught.value.number == number
    return trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed: its trainer, and its rows of metrics."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = fresh(folder)
    trainer.fit()
    return trainer, (folder / "metrics.jsonl").read_text()


def assert_goes_on_as(whole, folder):
    """Resumed, the run in `folder` becomes the whole one: weights, averages and rows."""
    trainer = fresh(folder)
    load_state_dict(trainer, checkpoint.load(folder / "checkpoints/last.safetensors"))
    trainer.fit()
    assert not list(lab.differences(state_dict(whole[0]), state_dict(trainer)))
    assert (folder / "metrics.jsonl").read_text() == whole[1]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_the_step_ends_and_is_saved(step, whole, tmp_path):
    trainer = fresh(tmp_path)
    trainer.events.callbacks.append(Disturbance(step))
    disturbed(trainer)
    state = checkpoint.load(tmp_path / "checkpoints/last.safetensors")
    assert state["step"] == trainer.step == step and state["notified"] is None
    assert_goes_on_as(whole, tmp_path)


@pytest.mark.parametrize("step", [4, 7], ids=["when due", "at the end"])
def test_a_validation_is_broken_off_and_done_again(step, whole, tmp_path):
    trainer = fresh(tmp_path)
    honest = trainer.model.evaluate
    trainer.model.evaluate = lambda batch: send() if trainer.step == step else honest(batch)
    disturbed(trainer)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert not [row for row in rows if row["step"] == step and any(name.startswith("validation/") for name in row)]
    assert_goes_on_as(whole, tmp_path)


def test_a_signal_before_a_measurement_stops_it_from_beginning(whole, tmp_path):
    trainer = fresh(tmp_path)
    trainer.events.callbacks.insert(0, Disturbance(4))
    honest = trainer.model.evaluate  # which is rehearsed before the first step
    trainer.model.evaluate = lambda batch: pytest.fail("must not begin") if trainer.step else honest(batch)
    disturbed(trainer)
    assert_goes_on_as(whole, tmp_path)


def test_averaged_weights_are_never_saved_for_the_others(whole, tmp_path):
    trainer = fresh(tmp_path)
    swap, places = trainer.ema._swap, []

    def disturbed_swap():
        if trainer.step:  # not for the rehearsal
            places.append(trainer.step)
        if len(places) == 1:
            send()
        swap()

    trainer.ema._swap = disturbed_swap
    disturbed(trainer)
    assert places == [4, 4], "there and back again"
    assert_goes_on_as(whole, tmp_path)


def test_comes_through_a_pipe_whole():
    error = pickle.loads(pickle.dumps(Interrupted(15, "stopped, and what is next")))
    assert (error.number, str(error)) == (15, "stopped, and what is next")


def test_two_signals_at_once_are_one():
    interruption = Interruption()
    with interruption.listening():
        send()
        send(signal.SIGINT)
        assert interruption.received == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_a_notice_is_saved_and_may_come_again(number, whole, tmp_path):
    trainer = fresh(tmp_path)
    again = Disturbance(3, number)
    again.on_interrupt = lambda trainer: (time.sleep(0.4), send(number))
    trainer.events.callbacks.insert(0, again)
    disturbed(trainer, number)
    assert_goes_on_as(whole, tmp_path)


def test_a_demand_after_a_notice_is_the_first(monkeypatch):
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("left at once"))
    interruption = Interruption()
    with interruption.listening():
        send(signal.SIGUSR1)
        time.sleep(0.4)
        send()
        send(signal.SIGHUP)
        assert interruption.received == signal.SIGUSR1


def test_what_nohup_has_it_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interruption = Interruption()
        with interruption.listening():
            send(signal.SIGHUP)
            assert interruption.received is None
            send(signal.SIGUSR1)
            assert interruption.received == signal.SIGUSR1
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_notice_to_the_group_spares_helpers():
    with sparing_helpers():
        helper = subprocess.Popen(["sleep", "5"])
    with helper:
        helper.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            helper.wait(0.1)
        helper.kill()


STUBBORN = """
import time
from genlab.system.signals import Interruption
with Interruption().listening():
    print("listening", flush=True)
    while True:
        time.sleep(1)
"""


def test_a_second_signal_leaves_at_once():
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "listening\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.6)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


def test_a_signal_where_python_ignores_exceptions_shows_no_traceback(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    class Unlucky:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    with Interruption().listening() as interruption, interruption.interruptible():
        Unlucky()
        assert interruption.received == signal.SIGTERM
    assert not shown
