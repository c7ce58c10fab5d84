"""`genlab.train(...)`: train from Python, in a script, a notebook or a thread, and get the loaded run."""

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from genlab.checkpoints.folder import RunFolder
from genlab.commands.lines import command_line, quoted
from genlab.commands.requests import compose_request
from genlab.contract.settings import TrainerConfig
from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.runs import train as runs
from genlab.runs.check import check
from genlab.system import torchrun
from genlab.system.device import resolve, restoring
from genlab.system.logs import log_to_console
from genlab.system.signals import Interrupted
from genlab.system.streams import lasting_streams

_OWN = {entry.name for entry in fields(TrainerConfig)}
"""Keys that need no `trainer.` before them."""

_TRAINING = threading.Lock()


def train(*overrides: str, **settings: Any) -> Run:
    """Train a run and load it, as `genlab train` does, onto the device that it was trained on.

    overrides: as on the command line. settings: values by key; keys of `trainer` stand without it, dotted keys in `**`,
    and a dict sets several keys of its group. `ValueError` with all mistakes, a line each; `RuntimeError` if the run
    fails; `KeyboardInterrupt` if a signal stops it, which the main thread alone receives.

    >>> run = genlab.train("model=gan", "dataset=digits", max_steps=500, seed=3, **{"optimizer.lr": 1e-3})
    >>> images = run.sample(16)
    """
    lines = [*_checked(overrides), *_lines(settings)]
    if torchrun.started_this():
        raise ValueError("genlab.train: trains in one process; under torchrun start -m genlab train")
    if not _TRAINING.acquire(blocking=False):
        raise ValueError("genlab.train: another thread is training; torch's seeds and settings are shared, so wait")
    try:
        request = compose_request("train", lines)
        config, folder = request.job.config, RunFolder(request.job.folder)
        check(config, folder.path, found_before=request.found)
        if config.device.processes > 1:
            raise ValueError(f"device.processes={config.device.processes}: needs the command line: genlab train ...")
        device = resolve(config.device.name, config.device.index)
        with lasting_streams(), _as_command(lines), _logging(), restoring(), _random_state(device):
            runs.train(config, folder)
            return load(folder.path, device)
    except Interrupted as error:
        raise Interrupted(error.number, f"{error}\nnext       {command_line('resume', run=folder)}") from None
    finally:
        _TRAINING.release()


def _checked(overrides: tuple[str, ...]) -> tuple[str, ...]:
    for line in overrides:
        if not isinstance(line, str) or line.startswith("-"):
            raise ValueError(f"{line!r}: must be a text key=value; sweeps and options need the command line")
    return overrides


def _lines(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Python values as overrides of Hydra's grammar."""
    for name, value in settings.items():
        key = f"trainer.{name}" if not above and name in _OWN else f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{key}.")
        else:
            yield f"{key}={_text(key, value)}"


def _text(key: str, value: Any) -> str:
    """One value in Hydra's grammar; a text stays a text, whatever it looks like."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(int(value) if isinstance(value, int) else float(value))  # NumPy's are subclasses
    if isinstance(value, (str, Path)):
        return quoted(str(value), text=True)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_text(key, entry) for entry in value)}]"
    if callable(plain := getattr(value, "item", None)):  # other numbers of NumPy and torch
        return _text(key, plain())
    raise ValueError(f"{key}={value!r}: must be a number, a text, true, false or None, or a list or dict of these")


@contextmanager
def _as_command(lines: list[str]) -> Iterator[None]:
    """The command that the run's record shall name; a notebook's own, if it has one, tells nothing."""
    before = getattr(sys, "argv", None)
    sys.argv = ["genlab", "train", *lines]
    try:
        yield
    finally:
        if before is None:
            del sys.argv
        else:
            sys.argv = before


@contextmanager
def _logging() -> Iterator[None]:
    """Log to standard error as the command line does."""
    log = logging.getLogger("genlab")
    before = log.handlers, log.level, log.propagate
    log_to_console()
    try:
        yield
    finally:
        log.handlers, log.level, log.propagate = before


@contextmanager
def _random_state(device: torch.device) -> Iterator[None]:
    """Restore the state of the caller's random generators."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
