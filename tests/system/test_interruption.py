"""A signal lets a step end, breaks off what can be done again, and loses nothing."""

import os
import pickle
import signal
import subprocess
import sys
import time

import lab
import pytest

from genlab.checkpoints import file as checkpoint
from genlab.system.signals import Interrupted, Interruption
from genlab.training.callback import Callback
from genlab.training.state import load_state_dict, state_dict

SETTINGS = [
    "trainer.batch_size=32",
    "trainer.max_steps=8",
    "trainer.log_every=3",
    "trainer.validate_every=4",
    "trainer.checkpoint_every=100",
]
MODEL = lab.MODELS[0]


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


class Disturbance(Callback):
    """Sends a signal in a step's wake."""

    key = "disturbance"

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            send()


def fresh(folder, *overrides):
    config = lab.compose(MODEL, *SETTINGS, *overrides)
    source = lab.RandomImages(lab.requirements(config))
    return lab.with_files(lab.trainer(config, source), config, source.spec, folder)


def disturbed(trainer, number=signal.SIGTERM):
    """Fit until the signal that somebody sends."""
    with trainer.interruption.listening(), pytest.raises(Interrupted) as caught:
        trainer.fit()
    assert caught.value.number == number
    return trainer


def resumed(folder):
    trainer = fresh(folder)
    load_state_dict(trainer, checkpoint.load(folder / "checkpoints/last.safetensors"))
    trainer.fit()
    return trainer


def assert_same(folder, whole, trainer):
    assert not list(lab.differences(state_dict(whole), state_dict(trainer)))
    expected = (folder.parent / "whole/metrics.jsonl").read_text()
    assert (folder / "metrics.jsonl").read_text() == expected


@pytest.fixture
def whole(tmp_path):
    trainer = fresh(tmp_path / "whole")
    trainer.fit()
    return trainer


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_the_step_ends_and_is_saved(step, whole, tmp_path):
    trainer = fresh(tmp_path / "run")
    trainer.events.callbacks.append(Disturbance(step))
    disturbed(trainer)
    state = checkpoint.load(tmp_path / "run/checkpoints/last.safetensors")
    assert state["step"] == trainer.step == step and state["notified"] is None
    assert_same(tmp_path / "run", whole, resumed(tmp_path / "run"))


def test_a_validation_is_broken_off_and_done_again(whole, tmp_path):
    trainer = fresh(tmp_path / "run")
    honest = trainer.model.evaluate

    def evaluate(batch):
        send()
        return honest(batch)

    trainer.model.evaluate = evaluate
    disturbed(trainer)
    assert checkpoint.load(tmp_path / "run/checkpoints/last.safetensors")["notified"] == ["metrics_file", "status"]
    assert "validation" not in (tmp_path / "run/metrics.jsonl").read_text()
    assert_same(tmp_path / "run", whole, resumed(tmp_path / "run"))


def test_a_signal_before_a_measurement_stops_it_from_beginning(whole, tmp_path):
    trainer = fresh(tmp_path / "run")
    trainer.events.callbacks.insert(0, Disturbance(4))
    trainer.model.evaluate = lambda batch: pytest.fail("must not begin")
    disturbed(trainer)
    assert_same(tmp_path / "run", whole, resumed(tmp_path / "run"))


def test_the_end_that_was_broken_off_is_made_up_for(tmp_path):
    fresh(tmp_path / "whole", "trainer.max_steps=7").fit()
    trainer = fresh(tmp_path / "run", "trainer.max_steps=7")
    honest = trainer.model.evaluate
    trainer.model.evaluate = lambda batch: send() if trainer.step == 7 else honest(batch)
    disturbed(trainer)
    again = fresh(tmp_path / "run", "trainer.max_steps=7")
    load_state_dict(again, checkpoint.load(tmp_path / "run/checkpoints/last.safetensors"))
    again.fit()
    whole = (tmp_path / "whole/metrics.jsonl").read_text().splitlines()
    run = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert run == whole and '"step": 7' in run[-1]


def test_averaged_weights_are_never_saved_for_the_others(tmp_path):
    trainer = fresh(tmp_path / "run", "trainer.ema=0.5")
    swap, places = trainer.ema._swap, []

    def disturbed_swap():
        places.append(trainer.step)
        if len(places) == 1:
            send()
        swap()

    trainer.ema._swap = disturbed_swap
    disturbed(trainer)
    state = checkpoint.load(tmp_path / "run/checkpoints/last.safetensors")
    undisturbed = fresh(tmp_path / "other", "trainer.ema=0.5")
    lab.run_steps(undisturbed, 4)
    assert places == [4, 4] and not list(lab.differences(state["model"], undisturbed.model.state_dict()))


def test_comes_through_a_pipe_whole():
    error = pickle.loads(pickle.dumps(Interrupted(15, "stopped, and what is next")))
    assert (error.number, str(error)) == (15, "stopped, and what is next")


def test_two_signals_at_once_are_one():
    interruption = Interruption()
    with interruption.listening():
        send()
        send(signal.SIGINT)
        assert interruption.received == signal.SIGTERM


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Interruption().listening():
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) != before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


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
