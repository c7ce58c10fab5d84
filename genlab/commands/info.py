"""`genlab info`: what a run is and how it stands, from the files in its folder. They may be a stranger's."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import read_status
from genlab.commands.folder import run_folder
from genlab.commands.lines import command_line
from genlab.commands.running import next_command
from genlab.config.build import build_on_meta
from genlab.config.check import problems_of
from genlab.config.commands import InfoConfig
from genlab.config.options import option_of, summary_of
from genlab.config.paths import options
from genlab.config.stored import refuse, stored_config
from genlab.contract.data import DataSpec
from genlab.contract.settings import RunConfig
from genlab.media.kinds import numbered
from genlab.runs.opening import count_parameters, parameters_by_network
from genlab.system.small_files import read_json, read_yaml
from genlab.system.text import printable, shell_line, size_in_words, time_in_words

_ALARMS = 3
"""Alarms shown, the latest ones."""

_DIVERGED = re.compile(r"became (nan|-?inf)", re.IGNORECASE)
"""In the reason of a failure."""


def main(asked: InfoConfig) -> None:
    folder = run_folder(asked.run, asked.output_dir)
    state, problems = _newest(folder)
    config = stored_config(state.get("config") if state else read_yaml(folder.config))
    status = _status(folder)
    print(f"run        {printable(str(folder))}")
    chosen = [line for group in ("model", "network", "dataset") for line in _choice(config, group)]
    for label, text in (*chosen, *_settings(config), *_state(status)):
        _say(label, text)
    for label, text in (*_machine(folder), *_inside(config, state), *_checkpoints(folder, state), *_files(folder.path)):
        _say(label, text)
    for line in problems:
        _say("damaged", line)
    if status.get("status") == "failed" and _DIVERGED.search(str(status.get("reason"))):
        _say("note", "resumed as it is, it would diverge again; a lower learning rate makes another run:")
        print(f"next       {_with_lower_rate(folder, config)}")
    else:
        print(f"next       {_next(folder, config, status.get('status'), state is not None)}")


def _say(label: str, text: str) -> None:
    print(f"{label:<10} {printable(text)}")


def _newest(folder: RunFolder) -> tuple[dict[str, Any] | None, list[str]]:
    """The state in the newest checkpoint that can be read, None if there is none, and why others cannot be read."""
    if not folder.holds_checkpoints:
        return None, []
    try:
        _, state, damaged = checkpoint.newest(folder)
    except ValueError as error:
        return None, str(error).splitlines()
    return state, list(damaged.values())


def _status(folder: RunFolder) -> dict[str, Any]:
    with suppress(ValueError):
        return read_status(folder)
    return {}


def _choice(config: RunConfig, group: str) -> Iterator[tuple[str, str]]:
    """A model, network or dataset by its name, what it is, if it is one of this version's, and its settings."""
    settings = getattr(config, group)
    if settings is None:
        return
    summary = str(settings.get("_target_"))
    name = getattr(config.choices, group, None) or option_of(group, summary)
    if name in options(group):
        with suppress(ValueError):  # a plugin that cannot be imported
            summary = summary_of(group, name)
    yield group, f"{name}: {summary}"
    hidden = ("_target_", "seed", "data_dir")
    if own := [f"{key}={value}" for key, value in settings.items() if key not in hidden]:
        yield "", ", ".join(own)


def _state(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Whether it runs, how far it is, and what it has measured."""
    words = [str(status.get("status", "unknown: it has no readable status.json"))]
    if isinstance(step := status.get("step"), int):
        of = status.get("max_steps")
        words.append(f"step {step}" + (f" of {of}" if of is not None else ""))
    if isinstance(speed := status.get("steps_per_second"), float):
        words.append(f"{speed:.3g} steps/s")
    if status.get("status") == "running" and isinstance(left := status.get("seconds_left"), int):
        words.append(f"about {time_in_words(min(left, 10**9))} left")
    if reason := status.get("reason"):
        words.append(str(reason))
    yield "status", ", ".join(words)
    for name, value in _dict(status.get("final")).items():
        told = f"{value:.5g}" if isinstance(value, float) else "not finite" if value is None else str(value)
        yield "metric", f"{name} {told}"
    alarms = status.get("alarms")
    for alarm in alarms[-_ALARMS:] if isinstance(alarms, list) else []:
        yield "alarm", " ".join(f"{key} {value}" for key, value in _dict(alarm).items())


def _settings(config: RunConfig) -> Iterator[tuple[str, str]]:
    trainer, device = config.trainer, config.device
    rate = config.optimizer.get("lr") if isinstance(config.optimizer, dict) else None
    yield "settings", f"seed {config.seed}, batch size {trainer.batch_size}, learning rate {rate}, ema {trainer.ema}"
    if config.init_from:
        yield "init_from", config.init_from
    yield "device", f"{device.name}, {device.precision}" + (f", {device.processes} processes" * (device.processes > 1))


def _times(count: Any, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _machine(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Versions and hardware on record."""
    with suppress(ValueError):
        record = _dict(read_json(folder.environment))
        packages, git = _dict(record.get("packages")), _dict(record.get("git"))
        words = [f"genlab {record.get('genlab')}", f"torch {packages.get('torch')}", f"python {record.get('python')}"]
        if git:
            words.append(f"commit {str(git.get('commit'))[:10]}{' with changes' if git.get('changed') else ''}")
        yield "version", ", ".join(words)
        yield "machine", f"{record.get('device')}, {_times(record.get('threads'), 'thread')}, {record.get('platform')}"
        resumed = record.get("resumed")
        if isinstance(resumed, list) and resumed:
            yield "resumed", _times(len(resumed), "time")


def _inside(config: RunConfig, state: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The data that the model was built for, and its number of parameters by network."""
    if state is None:
        return
    try:
        data = DataSpec.from_dict(state.get("data"))
        refuse(line for lines in problems_of(config).values() for line in lines)
        model = build_on_meta(config, data)
    except ValueError as error:
        yield "parameters", f"unknown: {str(error).splitlines()[0]}"
        return
    yield "data", str(data)
    for name, field in data.fields.items():
        if field.size and (names := numbered(field)):
            yield "", f"{name}: {names}"
    yield "parameters", f"{count_parameters(model):,} in all"
    for name, count in parameters_by_network(model).items():
        yield "", f"{count:,} in {name}"


def _checkpoints(folder: RunFolder, state: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    names = [path.name for path in sorted(folder.checkpoints.glob("[!.]*"))]
    step = f" (the newest of step {state['step']})" if state and isinstance(state.get("step"), int) else ""
    yield "saved", ", ".join(names) + step if names else "no checkpoint yet"


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Files and folders with their sizes; a file with several names counts once."""
    rows = []
    for place in sorted(folder.glob("[!.]*")):
        inside = (
            [place]
            if place.is_symlink() or not place.is_dir()
            else [path for path in place.rglob("*") if not path.is_dir()]
        )
        found = {(status.st_dev, status.st_ino): status.st_size for status in map(Path.lstat, inside)}
        many = f", files: {len(inside)}" if place.is_dir() else ""
        rows.append(f"{place.name + '/' * place.is_dir():<20} {size_in_words(sum(found.values()))}{many}")
    for number, row in enumerate(rows):
        yield "" if number else "files", row


def _next(folder: RunFolder, config: RunConfig, state: str | None, saved: bool) -> str:
    """A command to go on with: resume what has stopped, use what has finished."""
    if state not in ("finished", "running"):
        return command_line("resume", run=folder)
    with suppress(ValueError):  # its model may be of another version
        if saved:
            return next_command(folder, config)
    return shell_line("tensorboard", "--logdir", str(folder))


def _with_lower_rate(folder: RunFolder, config: RunConfig) -> str:
    """The command that began a run which diverged, with a tenth of its learning rate; in fp32, if it was another."""
    settings = [f"model={config.choices.model}", f"dataset={config.choices.dataset}"]
    with suppress(ValueError):
        command = _dict(read_json(folder.environment)).get("command")
        if isinstance(command, list) and command[1:2] == ["train"]:
            settings = [word for word in command[2:] if isinstance(word, str) and word[:1] not in ("-", "")]
    lower = {}
    if isinstance(rate := config.optimizer.get("lr"), (int, float)):
        lower["optimizer.lr"] = f"{rate / 10:g}"
    if config.device.precision != "fp32":
        lower["device.precision"] = "fp32"
    kept = [word for word in settings if not word.startswith(("hydra.", "sweep", *(f"{key}=" for key in lower)))]
    return shell_line("genlab", "train", *kept, *(f"{key}={value}" for key, value in lower.items()))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
