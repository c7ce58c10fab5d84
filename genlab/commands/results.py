"""A folder for each result of a trained run: named by the request, there as a whole or not at all."""

import errno
import hashlib
import json
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from genlab.config.commands import COMMANDS, UseConfig
from genlab.config.compose import compose_command
from genlab.contract.settings import typed
from genlab.inference.run import Run

_TITLE_BYTES = 60  # of the 255 that the name of a folder may have

_WHERE = ("run", "output_dir", "data_dir", "device", "weights", "image_metadata")
"""Keys that say where things lie and what computes them; what is computed is a function of the others, and of
`device.precision`."""

_PLACES = ("input", "against", "images", "dataset.settings.path", "dataset.settings.data_dir")
"""Keys whose values may name files."""


def check_writable(folder: Path) -> None:
    """`ValueError` where no file can be made in the run's `folder`: said before the computing, not after it."""
    for path in folder.glob("*evaluation.*"):
        _check_inside(folder, path)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _check_inside(folder: Path, path: Path) -> None:
    """`ValueError` where a link leads from `path` out of a run's folder: the run may come from anybody."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path}: leads out of the run's folder, to {path.resolve()}; remove this link")


def _unwritable(folder: Path, error: OSError) -> ValueError:
    return ValueError(
        f"{folder}: cannot be written ({os.strerror(error.errno or 0)}); copy the run where you may write"
    )


@dataclass(frozen=True)
class Result:
    """Where a result is written, and where it will lie once all of it is there."""

    writing: Path
    path: Path


@contextmanager
def results(run: Run, kind: str, config: UseConfig, *parts: str) -> Iterator[Result]:
    """A folder below the run's for one result, named by step, `parts` and, unless all is at its default, settings.

    What is written to `writing` replaces an older `path` whole when the block ends, and is gone when it fails.
    A process that is killed leaves a folder with a hidden name. `ValueError` where there can be no folder.
    """
    path = run.folder / kind / _name(run, config, parts)
    writing = _hidden(path)
    _check_inside(run.folder, path.parent)
    try:
        writing.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    try:
        with _termination_raises():
            yield Result(writing, path)
            _replace(writing, path)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
        with suppress(OSError):  # others' results lie there
            path.parent.rmdir()


def _name(run: Run, config: UseConfig, parts: tuple[str, ...]) -> str:
    """As in step_0008000-raw-seed_3-1f2a9c: readable first, then a hash by which no two requests meet."""
    title = "".join(letter if letter.isprintable() else "_" for letter in "-".join(filter(None, parts)))
    title = title.encode()[:_TITLE_BYTES].decode(errors="ignore")
    asked = _settings(config)
    text = json.dumps(asked, sort_keys=True)
    digest = None if asked == _defaults(_command_of(config)) else hashlib.sha256(text.encode()).hexdigest()[:6]
    raw = "raw" if config.weights == "raw" else None
    precision = None if run.precision == "fp32" else run.precision
    return "-".join(filter(None, [f"step_{run.step:07d}", raw, precision, title, digest]))


def _command_of(config: UseConfig) -> str:
    return next(name for name, command in COMMANDS.items() if command.skeleton is type(config))


@cache
def _defaults(command: str) -> dict[str, Any]:
    """The settings of a command to which the user gives none."""
    return _settings(typed(COMMANDS[command].skeleton, compose_command(command, []).values))


def _settings(config: UseConfig) -> dict[str, Any]:
    """The part of a request that decides its result, as plain data."""
    return {key: _absolute(key, value) for key, value in asdict(config).items() if key not in _WHERE}


def _absolute(key: str, value: Any) -> Any:
    """`value` with all names of files in it made absolute, so that a request means the same in every folder."""
    if isinstance(value, dict):
        return {name: _absolute(f"{key}.{name}", part) for name, part in value.items()}
    if isinstance(value, list):
        return [_absolute(key, part) for part in value]
    place = os.path.expanduser(value) if key in _PLACES and isinstance(value, str) else ""
    return os.path.realpath(place) if os.path.exists(place) else value


def _hidden(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}")


def _replace(new: Path, path: Path) -> None:
    """Give `new` the name `path`; what has it steps aside first, and comes back should that fail."""
    while True:
        old = _hidden(path)
        try:
            with suppress(FileNotFoundError):
                path.rename(old)
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # else another process was faster: its turn to yield
                raise
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Let SIGTERM end the block by an exception, so that what stands behind it is cleared away."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
