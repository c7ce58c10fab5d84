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
from genlab.system.signals import Interrupted, Interruption
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

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            send()


def fresh(folder):
    config = lab.compose(MODEL, *SETTINGS)
    source = lab.RandomExamples(lab.model_class(config))
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
    trainer.model.evaluate = lambda batch: pytest.fail("must not begin")
    disturbed(trainer)
    assert_goes_on_as(whole, tmp_path)


def test_averaged_weights_are_never_saved_for_the_others(whole, tmp_path):
    trainer = fresh(tmp_path)
    swap, places = trainer.ema._swap, []

    def disturbed_swap():
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
