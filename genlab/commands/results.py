"""One folder per result of a trained run: named after the request, and either complete or absent."""

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

_TITLE_BYTES = 60  # of the 255 that a folder's name may have

_WHERE = ("run", "output_dir", "data_dir", "device", "weights", "image_metadata")
"""Keys that are not hashed into the folder's name: locations, hardware and metadata do not change a result, and
`weights` and `device.precision` are spelled out in the name."""

_PLACES = ("input", "against", "images", "dataset.settings.path", "dataset.settings.data_dir")
"""Keys whose values may be file names."""


def check_writable(folder: Path) -> None:
    """`ValueError` if the run's `folder` is not writable. Checked before anything is computed."""
    for path in folder.glob("*evaluation.*"):
        _check_inside(folder, path)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _check_inside(folder: Path, path: Path) -> None:
    """`ValueError` if `path` is a link out of the run's folder: a run may come from an untrusted source."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path}: leads out of the run's folder, to {path.resolve()}; remove this link")


def _unwritable(folder: Path, error: OSError) -> ValueError:
    return ValueError(
        f"{folder}: cannot be written ({os.strerror(error.errno or 0)}); copy the run where you may write"
    )


@dataclass(frozen=True)
class Result:
    """Where a result is written, and where it will be once it is complete."""

    writing: Path
    path: Path


@contextmanager
def results(run: Run, kind: str, config: UseConfig, *parts: str) -> Iterator[Result]:
    """A folder for one result, inside the run's: named by step, `parts` and, unless all are defaults, the settings.

    When the block ends, `writing` replaces an older `path` as a whole; when it fails, `writing` is deleted.
    A killed process leaves a folder with a hidden name. `ValueError` if the folder cannot be made.
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
        with suppress(OSError):  # it may hold other results
            path.parent.rmdir()


def _name(run: Run, config: UseConfig, parts: tuple[str, ...]) -> str:
    """For example step_0008000-raw-seed_3-1f2a9c: a readable part, then a hash that distinguishes requests."""
    title = "".join(letter if letter.isprintable() else "_" for letter in "-".join(filter(None, parts)))
    title = title.encode()[:_TITLE_BYTES].decode(errors="ignore")
    asked = _settings(config)
    text = json.dumps(asked, sort_keys=True)
    digest = None if asked == _defaults(_command_of(config)) else hashlib.sha256(text.encode()).hexdigest()[:6]
    raw = "raw" if config.weights == "raw" else None
    precision = None if run.precision == "fp32" else run.precision
    return "-".join(filter(None, [f"step_{run.step:07d}", raw, precision, title, digest]))


def _command_of(config: UseConfig) -> str:
    return next(name for name, command in COMMANDS.items() if command.schema is type(config))


@cache
def _defaults(command: str) -> dict[str, Any]:
    """The settings of a command if the user sets none."""
    return _settings(typed(COMMANDS[command].schema, compose_command(command, []).values))


def _settings(config: UseConfig) -> dict[str, Any]:
    """The part of a request that determines its result, as plain data."""
    return {key: _absolute(key, value) for key, value in asdict(config).items() if key not in _WHERE}


def _absolute(key: str, value: Any) -> Any:
    """`value` with all file names made absolute, so that a request means the same in every working directory."""
    if isinstance(value, dict):
        return {name: _absolute(f"{key}.{name}", part) for name, part in value.items()}
    if isinstance(value, list):
        return [_absolute(key, part) for part in value]
    place = os.path.expanduser(value) if key in _PLACES and isinstance(value, str) else ""
    return os.path.realpath(place) if os.path.exists(place) else value


def _hidden(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}")


def _replace(new: Path, path: Path) -> None:
    """Rename `new` to `path`. An existing `path` is moved aside first, and restored on failure."""
    while True:
        old = _hidden(path)
        try:
            with suppress(FileNotFoundError):
                path.rename(old)
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # else another process was faster: try again
                raise
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception inside the block, so that cleanup code runs."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
