"""The progress bar's end of things: it counts steps, shows losses and never breaks a log."""

import logging
from types import SimpleNamespace

from genlab.callbacks.console import Console
from genlab.system.logs import log_to_console


def test_bar_counts_shows_and_closes(capsys):
    trainer = SimpleNamespace(step=3, max_steps=5)
    console = Console()
    console.on_start(trainer)
    for trainer.step in (4, 5):
        console.on_step_end(trainer)
    console.on_log(trainer, {"step": 5, "train/loss": 1.23456, "train/kl": 2.0, "learning_rate/model": 0.1})
    console.on_validate(trainer, {"mse": 0.5})
    assert console.bar.n == 5
    console.on_close(trainer)
    error = capsys.readouterr().err
    assert "step 5: validation  mse 0.5" in error
    assert "loss=1.235" in error and "learning_rate" not in error and "5/5" in error


def test_a_line_of_the_log_has_its_own(capsys):
    trainer = SimpleNamespace(step=3, max_steps=5)
    console = Console()
    console.on_start(trainer)
    log_to_console()
    logging.getLogger("genlab").warning("between")
    console.on_close(trainer)
    lines = [line.strip() for line in capsys.readouterr().err.replace("\r", "\n").splitlines()]
    assert "between" in lines


def test_a_run_that_never_began_has_no_bar():
    Console().on_close(SimpleNamespace())
