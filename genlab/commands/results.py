"""Shared by commands that use a trained run: loading it, the metadata of its images, and one folder per result."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import state_of
from genlab.commands.folder import chosen_run
from genlab.commands.requests import compose_request
from genlab.config.commands import COMMANDS, AnimateConfig, DataUseConfig, UseConfig
from genlab.contract.settings import flattened
from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.media.kinds import captions_of, kind_of
from genlab.media.metadata import GENERATED, Origin, run_id
from genlab.system.device import prepare
from genlab.system.signals import Interrupted, handling
from genlab.system.small_files import read_yaml

log = logging.getLogger("genlab")

_TITLE_BYTES = 60  # of the 255 that a folder's name may have

_PROBE = 2**20
"""Bytes that must fit into a run's folder before anything is computed for it."""

_WHERE = ("run", "output_dir", "data_dir", "device", "weights", "image_metadata")
"""Keys that are not hashed into the folder's name: locations, hardware and metadata do not change a result, and
`weights` and `device.precision` are spelled out in the name."""

_PLACES = ("input", "against", "images", "dataset.settings.path", "dataset.settings.data_dir")
"""Keys whose values may be names of files."""


def load_run(config: UseConfig) -> Run:
    """Load the run `config.run` onto `config.device`. Its folder must be writable."""
    chosen = chosen_run(config.run, config.output_dir)
    place = RunFolder(chosen)
    if state_of(place) == "running" and not place.last.exists():
        raise ValueError(f"run={place}: is still training and has saved no checkpoint yet; wait for {_first(place)}")
    device = prepare(config.device)
    own = config.device
    how = (own.precision, own.memory_format, own.memory_budget)
    run = load(chosen, device, config.output_dir, config.weights, *how)
    check_writable(run.folder)
    state = state_of(RunFolder(run.folder))
    if state == "failed":
        log.warning("%s failed (genlab info says why); this is its checkpoint of step %d", run.folder, run.step)
    if state == "running":
        log.warning("%s is still training; this is its checkpoint of step %d", run.folder, run.step)
    return run


def _first(folder: RunFolder) -> str:
    """When a run in training saves its first checkpoint."""
    with suppress(ValueError, KeyError, TypeError):
        if every := read_yaml(folder.config)["trainer"]["checkpoint_every"]:
            return f"step {every} (trainer.checkpoint_every)"
    return "its last step (trainer.checkpoint_every=null)"


def same(run: Run, config: UseConfig, command: str) -> dict[str, Any]:
    """Keys of a next `command` for the weights that `config` names, with its condition if the command has one; the same
    command keeps all its settings."""
    schema = COMMANDS[command].schema
    kept = {entry.name for entry in fields(schema)} - {"run", "output_dir", "seed", "device", "dataset"}
    if type(config) is not schema:
        kept &= {"weights", "condition", "sampling"}
    usual = dict(flattened(asdict(_defaults(config))))
    given = {key: value for key, value in flattened(asdict(config)) if key.partition(".")[0] in kept}
    changed = {key: value for key, value in given.items() if usual.get(key) != value}
    if isinstance(config, DataUseConfig) and issubclass(schema, DataUseConfig) and config.dataset and config.own:
        moved = config.dataset.settings  # where the run's own data are now
        changed |= {f"dataset.{name}": value for name, value in moved.items()}
    return {"run": config.run if Path(config.run).is_file() else run.folder, **changed}


def image_origin(run: Run, config: UseConfig, content: str = GENERATED) -> Origin | None:
    """The metadata of a command's images; None if the user has turned it off."""
    if not config.image_metadata:
        return None
    return Origin(run.config.choices.model, run_id(run.folder), run.step, config.seed, content)


def arrays_of(run: Run, given: dict[str, Tensor]) -> dict[str, Tensor | np.ndarray]:
    """The conditions as arrays of a result file: labels and factors, other fields by their name, names of classes."""
    fields = {name: run.data[name] for name in given}
    arrays: dict[str, Tensor | np.ndarray] = {
        kind_of(field).plural if name == field.kind else name: given[name] for name, field in fields.items()
    }
    if names := captions_of(run.data, given):
        arrays["classes"] = np.array(names, f"U{max(map(len, run.data['label'].names))}")
    return arrays


def check_writable(folder: Path) -> None:
    """`ValueError` if the run's `folder` is not writable. Checked before anything is computed."""
    for path in folder.glob("*evaluation.*"):
        _check_inside(folder, path)
    _check_writable(folder)


def _check_writable(folder: Path) -> None:
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))  # a full disk still makes empty files
            file.flush()
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror}); copy the run where you may write") from error


def _check_inside(folder: Path, path: Path) -> None:
    """`ValueError` if `path` is a link out of the run's folder: a run may come from an untrusted source."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path}: leads out of the run's folder, to {path.resolve()}; remove this link")


class Used(Protocol):
    """What the name of a result says of its run."""

    folder: Path
    step: int
    precision: str


@contextmanager
def results(
    run: Used, kind: str, config: UseConfig | AnimateConfig, *titles: str, **named: Any
) -> Iterator[tuple[Path, Path]]:
    """A folder for one result, inside the run's: named by step, `titles`, the values `named` that are not None, and,
    unless all are defaults, a hash of the settings.

    Gives the folder to write to, and the one that it becomes when the block ends; an older result is replaced as a
    whole. When the block fails nothing is changed; a killed process leaves a folder with a hidden name.
    """
    path = run.folder / kind / _name(run, config, [*titles, *_spelled(named)])
    _check_inside(run.folder, path.parent)
    if path.parent.exists():
        _check_writable(path.parent)
    with TemporaryDirectory(prefix=".", dir=run.folder, ignore_cleanup_errors=True) as hidden, handling(_interrupt):
        new, old = Path(hidden, "new"), Path(hidden, "old")
        new.mkdir()
        yield new, path
        path.parent.mkdir(exist_ok=True)
        try:
            if os.path.lexists(path):
                path.rename(old)
            new.rename(path)
        finally:
            if os.path.lexists(old) and not os.path.lexists(path):
                old.rename(path)


@contextmanager
def drawn(path: Path) -> Iterator[None]:
    """Draw `path`, one of several files of a result. What fails in it costs this image, not what was computed."""
    try:
        yield
    except Exception as error:  # drawing libraries raise anything
        path.unlink(missing_ok=True)
        log.warning("%s: could not be drawn (%s)", path.name, str(error).strip() or type(error).__name__)


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted(number)


def _spelled(named: dict[str, Any]) -> list[str]:
    """For example seed_3, latents_0_4."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in named.items() if value is not None}
    return ["_".join(map(str, [key, *values])) for key, values in lists.items()]


def _name(run: Used, config: UseConfig | AnimateConfig, parts: list[str]) -> str:
    """For example step_0008000-raw-seed_3-1f2a9c: a readable part, then a hash that distinguishes requests."""
    title = "-".join(filter(None, parts)).replace("/", "_")  # of a class's name
    title = "".join(letter if letter.isprintable() else "_" for letter in title)
    title = title.encode()[:_TITLE_BYTES].decode(errors="ignore")
    raw = "raw" if isinstance(config, UseConfig) and config.weights == "raw" else ""
    precision = "" if run.precision == "fp32" else run.precision
    asked, digest = _settings(config), ""
    if asked != _settings(_defaults(config)):
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:6]
    return "-".join(filter(None, [f"step_{run.step:07d}", raw, precision, title, digest]))


def _defaults(config: UseConfig | AnimateConfig) -> Any:
    """The settings of the same command without any keys."""
    return compose_request(next(name for name, command in COMMANDS.items() if command.schema is type(config)), [])


def _settings(config: UseConfig | AnimateConfig) -> dict[str, Any]:
    """The part of a request that determines its result, as plain data."""
    return {key: _absolute(key, value) for key, value in asdict(config).items() if key not in _WHERE}


def _absolute(key: str, value: Any) -> Any:
    """`value` with the names of files made absolute: a request means the same in every working directory."""
    if isinstance(value, dict):
        return {name: _absolute(f"{key}.{name}", part) for name, part in value.items()}
    if isinstance(value, list):
        return [_absolute(key, part) for part in value]
    place = os.path.expanduser(value) if key in _PLACES and isinstance(value, str) else ""
    return os.path.realpath(place) if os.path.exists(place) else value
