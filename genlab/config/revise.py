"""Which settings of a run may change when it is resumed, and how a command line changes them."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString

from genlab.config.compose import RequestError, parse
from genlab.config.hints import fits, hint_of, misfit, missing_part
from genlab.config.paths import groups, options
from genlab.config.places import places, with_homes
from genlab.contract.settings import STOPPING_KEYS, RunConfig, flattened, lookup, typed
from genlab.system.text import did_you_mean

FREE = (
    *STOPPING_KEYS,
    *(f"trainer.{name}_every" for name in ("log", "validate", "preview", "evaluate", "checkpoint")),
    "trainer.keep_checkpoints",
    *(f"loader.{name}" for name in ("storage", "memory_limit", "workers")),
    "data_dir",
    "output_dir",
    "device",
    "logger",
)
"""Keys and nodes that may change: when a run ends, measures and saves, device settings, and file locations."""

_UNUSED = "init_from"
"""Is only used when a run starts."""


def is_free(key: str, dataset: dict[str, Any]) -> bool:
    """Whether a run on a `dataset` may be resumed with another value of a dotted key."""
    moving = [f"dataset.{name}" for name in places(dataset)]
    return any(key == free or key.startswith(f"{free}.") for free in (*FREE, *moving, _UNUSED))


def differences(run: RunConfig, asked: RunConfig) -> list[str]:
    """A line for each setting that would make `asked` a different run from `run`."""
    mine, theirs = dict(flattened(run.to_dict())), dict(flattened(asked.to_dict()))
    keys = [
        key for key in {**mine, **theirs} if not is_free(key, run.dataset) and mine.get(key, "") != theirs.get(key, "")
    ]
    return [f"{key}: {theirs.get(key, 'nothing')} is asked for, the run has {mine.get(key, 'nothing')}" for key in keys]


def revise(run: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Apply `overrides` to the config `run`. `RequestError` if one is invalid, or would make it a different run."""
    values, problems = run.to_dict(), []
    for override in parse(overrides):
        try:
            key, value = _setting(run, override)
        except ValueError as error:
            problems.append(str(error))
            continue
        above, _, name = key.rpartition(".")
        (lookup(values, above) if above else values)[name] = value
    revised = typed(RunConfig, with_homes(RunConfig, values))
    problems += differences(run, revised)
    if problems:
        raise RequestError(problems)
    return revised


def _loggers(run: RunConfig, line: str, names: list[Any]) -> dict[str, Any]:
    """The settings of `logger` with these loggers and no others. `ValueError` if there is no such one."""
    known = [name for name in options("logger") if hasattr(run.logger, name)]
    if unknown := [str(name) for name in names if name is not None and str(name) not in known]:
        raise ValueError(f"{line}: no such logger; {did_you_mean(unknown[0], known)}")
    return run.to_dict()["logger"] | {name: name in map(str, names) for name in known}


def _setting(run: RunConfig, override: Override) -> tuple[str, Any]:
    """The key and value of an override. `ValueError` if the run has no such key, or it has another type."""
    line, key, value = override.input_line, override.key_or_group, override.value()
    value = value.text if isinstance(value, QuotedString) else value
    if override.is_delete() or override.is_add() or override.is_force_add() or override.is_sweep_override():
        raise ValueError(f"{line}: write key=value, with one value")
    if key == "logger":
        return key, _loggers(run, line, value if isinstance(value, list) else [value])
    if key in groups() and isinstance(value, str):
        if key == "device":
            return "device.name", value
        if lookup(run.choices, key) == value:
            return f"choices.{key}", value
        raise ValueError(f"{line}: a run that is resumed keeps its {key}")
    values, hint = run.to_dict(), hint_of(RunConfig, key)
    if missing := missing_part(values, key):
        raise ValueError(f"{line}: {missing}")
    if isinstance(lookup(values, key), dict) or not fits(value, hint):
        raise ValueError(misfit(RunConfig, key, value, hint))
    return key, value
