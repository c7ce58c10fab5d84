"""Validation of a checkpoint's config and state before use: they may come from an untrusted source."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from genlab.config.hints import fits, hint_of, misfit
from genlab.contract.settings import CLASS_NODES, RunConfig, typed
from genlab.system.text import did_you_mean

_MAX_VALUES, _MAX_DEPTH, _MAX_LENGTH = 10_000, 10, 10_000


def stored_config(values: Any) -> RunConfig:
    """The typed config of a checkpoint or a `config.yaml`. `ValueError` with a line for each problem."""
    problems = list(_shape_problems(values)) or [*_choice_problems(values["choices"]), *_type_problems(values)]
    if problems:
        raise ValueError("\n".join(problems))
    return typed(RunConfig, values)


def check_weights(state: dict) -> None:
    """`ValueError` unless a checkpoint holds weights by name, both the model's and the averaged ones."""
    for name in ("model", "ema"):
        weights = state.get(name)
        if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
            raise ValueError(f"{name}: must hold weights by name")


def _shape_problems(values: Any) -> Iterator[str]:
    """Problems that prevent checking single keys."""
    if not isinstance(values, dict):
        yield f"config: must be a group of settings, not {type(values).__name__}"
        return
    known = [entry.name for entry in fields(RunConfig)]
    for key in values:
        if key not in known:
            yield f"config.{str(key)[:100]}: no such key; {did_you_mean(str(key)[:100], known)}"
    yield from (f"config.{name}: is missing" for name in known if name not in values)
    for number, problem in enumerate(_value_problems("config", values, 0)):
        if number >= _MAX_VALUES:
            yield f"config: holds more than {_MAX_VALUES} values"
            return
        if problem:
            yield problem


def _value_problems(key: str, value: Any, depth: int) -> Iterator[str | None]:
    """For each value: why a resolved config cannot contain it, or None."""
    yield _value_problem(key, value)
    if depth > _MAX_DEPTH:
        yield f"{key}: is nested more than {_MAX_DEPTH} levels deep"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _value_problems(f"{key}.{str(name)[:100]}", inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _value_problems(key, inner, depth + 1)


def _value_problem(key: str, value: Any) -> str | None:
    if isinstance(value, dict):
        return None if all(isinstance(name, str) for name in value) else f"{key}: has keys that are no text"
    if isinstance(value, str):
        if "${" in value or value == "???":
            return f"{key}={value[:100]}: must be resolved; a run's config refers to nothing else"
        return f"{key}: is a text of {len(value)} characters" if len(value) > _MAX_LENGTH else None
    if isinstance(value, int):
        return f"{key}: is a number of {value.bit_length()} bits" if value.bit_length() > 64 else None
    return None if value is None or isinstance(value, (float, list)) else f"{key}: is a {type(value).__name__}"


def _choice_problems(choices: Any) -> Iterator[str]:
    """The names of model and dataset are used in file names."""
    if not isinstance(choices, dict) or set(choices) != {"model", "dataset"}:
        yield "config.choices: must name a model and a dataset, and nothing else"
        return
    for group, name in choices.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or ".." in name:
            yield f"config.choices.{group}={str(name)[:100]!r}: must be a name of letters, digits, '-' and '_'"


def _type_problems(values: dict[str, Any]) -> Iterator[str]:
    """Settings that are missing, unknown or of the wrong type."""
    for entry in fields(RunConfig):
        name, value = entry.name, values[entry.name]
        group = entry.default_factory
        if name == "choices":
            continue
        if not is_dataclass(group):
            if name in CLASS_NODES:
                if not isinstance(value, dict):
                    yield f"config.{name}={str(value)[:100]!r}: must be a group of settings"
            elif not fits(value, hint := hint_of(RunConfig, name)):
                yield f"config.{misfit(RunConfig, name, value, hint)}"
            continue
        if not isinstance(value, dict):
            yield f"config.{name}={str(value)[:100]!r}: must be a group of settings"
            continue
        known = [setting.name for setting in fields(group)]
        yield from (f"config.{name}.{setting}: is missing" for setting in known if setting not in value)
        for setting, given in value.items():
            key = f"{name}.{setting}"
            if setting not in known:
                yield f"config.{key}: this version has no such key"
            elif not fits(given, hint := hint_of(RunConfig, key)):
                yield f"config.{misfit(RunConfig, key, given, hint)}"


_SECTIONS = ("model", "optimizer", "ema", "scaler", "metric_window", "callbacks", "data")


def check_state(state: dict) -> None:
    """`ValueError` unless a checkpoint holds everything that resuming needs, with the types it was saved in."""
    problems = [f"{name}: is no group of entries" for name in _SECTIONS if not isinstance(state.get(name), dict)]
    for name in ("step", "seed"):
        if type(state.get(name)) is not int or state[name] < 0:
            problems.append(f"{name}={str(state.get(name))[:100]}: must be a whole number of at least 0")
    if not isinstance(state.get("lr_scale"), float):
        problems.append("lr_scale: must be a number")
    if not problems:
        rows, status = state["callbacks"].get("metrics_file", {}), state["callbacks"].get("status")
        written = rows.get("bytes", 0) if isinstance(rows, dict) else None
        if type(written) is not int or written < 0 or not isinstance(status, dict) or "final" not in status:
            problems.append("callbacks: are not those of a run")
        problems += [f"{name}: is missing" for name in ("stop_reason", "notified") if name not in state]
    if problems:
        raise ValueError("\n".join(["no run can be resumed from its state", *problems]))
