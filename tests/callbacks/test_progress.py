"""What a run says while it trains: a bar or lines, with the losses that fit, and how long it will take."""

import io
import logging
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest

from genlab.callbacks.console import Console, Journal, shown
from genlab.system import progress
from genlab.system.logs import log_to_console, log_to_file

GAN = {"train/generator/loss": 0.69315, "train/discriminator/loss": 1.38629, "train/discriminator/accuracy": 0.5}
VAE = {"train/loss": 101.34, "train/reconstruction": 75.21, "train/kl": 26.13}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """`clock[0]` is the time in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def stub(step=0, max_steps=8000):
    return SimpleNamespace(step=step, max_steps=max_steps, stop_reason=None)


@pytest.fixture(params=[80, 120])
def terminal(request, monkeypatch):
    """A terminal as standard error, and its columns."""
    stream = Terminal()
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda stream: (request.param, 24))
    return stream, request.param


@pytest.mark.parametrize("row, names", [(GAN, ("gene", "disc")), (VAE, ("loss", "recon"))])
def test_a_bar_keeps_its_bar_and_shows_the_losses_that_fit(row, names, terminal):
    stream, columns = terminal
    trainer, console = stub(step=1200), Console()
    with redirect_stderr(stream):
        console.on_start(trainer)
        console.on_log(trainer, {"step": 1200, "learning_rate/model": 0.1, **row})
        trainer.step = 1300
        console.on_step_end(trainer)
        console.bar.refresh()
        assert console.bar.n == 1300
        console.on_close(trainer)
    line = stream.getvalue().split("\r")[-1].rstrip("\n")
    assert len(line) <= columns and all(name in line for name in names) and "accuracy" not in line
    assert len(line.split("|")[1]) >= 10 and "1300/8000" in line and " left" in line


def test_losses_are_shortened_and_then_left_out():
    assert shown({"loss": 101.34, "kl": 26.13}) == ["loss 101.3", "kl 26.13"]
    assert shown({"generator": 0.69315, "discriminator": 1.38629}, 30) == ["gener 0.693", "discr 1.39"]
    assert shown({"loss": 101.34, "reconstruction": 75.2, "kl": 26.13}, 26) == ["loss 101", "recon 75.2"]
    assert shown({"loss": 101.34}, 3) == []


def test_a_line_of_the_log_has_its_own(terminal):
    stream, _ = terminal
    console = Console()
    with redirect_stderr(stream):
        console.on_start(stub())
        log_to_console()
        logging.getLogger("genlab").warning("between")
        console.on_close(stub())
    assert "between" in [line.strip() for line in stream.getvalue().replace("\r", "\n").splitlines()]


def test_without_a_terminal_a_line_comes_every_ten_seconds_and_later_less_often(clock, capsys):
    log_to_console()
    trainer, console = stub(max_steps=100_000), Console()
    console.on_start(trainer)
    console.on_log(trainer, {"step": 0, **VAE})
    for second in range(1, 1001):
        clock[0], trainer.step = float(second), 10 * second
        console.on_step_end(trainer)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step 100/100000  0 %  10 steps/s  2 h 46 min left  loss 101.3  reconstruction 75.21  kl 26.13"
    assert 60 < len(lines) < 100
    trainer.step = 500
    console.on_log(trainer, {"step": 500, "rollback": 10_000})
    trainer.step, clock[0] = 520, 1010.0
    console.on_step_end(trainer)
    assert "step 520/100000  1 %  2 steps/s" in capsys.readouterr().err
    console.on_close(trainer)


@pytest.mark.parametrize("rate, steps", [(50, 101), (2, 12)])
def test_the_expected_time_is_told_once_after_a_hundred_steps_or_some_seconds(rate, steps, clock, caplog):
    caplog.set_level(logging.INFO, "genlab")
    trainer, journal = stub(max_steps=10_000), Journal(shown=True)
    journal.on_start(trainer)
    clock[0] += 60  # the first step compiles
    for trainer.step in range(1, 300):
        journal.on_step_end(trainer)
        if trainer.step == steps:
            (line,) = caplog.messages
        clock[0] += 1 / rate
    assert f"at {rate} steps/s" in line and "left" in line and len(caplog.messages) == 1


def test_what_was_measured_and_the_end_stand_in_the_log(caplog):
    caplog.set_level(logging.INFO, "genlab")
    trainer, journal = stub(step=5), Journal(shown=True)
    journal.on_start(trainer)
    journal.on_validate(trainer, {"mse": 0.5})
    journal.on_validate(trainer, {})
    journal.on_evaluate(trainer, {"recall": {"value": 0.25}})
    trainer.stop_reason = "early"
    journal.on_finish(trainer)
    first, second, third = caplog.messages
    assert first == "step 5: validation  mse 0.5" and second == "step 5: evaluation  recall 0.25"
    assert third.startswith("step 5: finished after") and third.endswith("(early)")


def test_a_silent_console_leaves_the_file_alone(capsys, tmp_path):
    log_to_console()
    journal = Journal(shown=False)
    journal.on_start(stub())
    with log_to_file(tmp_path / "train.log"):
        journal.on_validate(stub(), {"mse": 0.5})
    assert capsys.readouterr().err == "" and "validation  mse 0.5" in (tmp_path / "train.log").read_text()


def test_a_run_that_never_began_has_no_bar():
    Console().on_close(SimpleNamespace())
