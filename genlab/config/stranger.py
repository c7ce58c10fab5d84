"""The config that a checkpoint carries, held against what GenLab writes before OmegaConf sees it.

A checkpoint may come from anybody. OmegaConf would resolve interpolations in it, which read environment variables, and
what it chooses gets into names of files.
"""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from genlab.config.compose import did_you_mean
from genlab.config.hints import fits, hint_of, misfit
from genlab.config.schema import TrainConfig

_NODES = ("dataset", "model", "optimizer", "schedule")
_NEEDED = {
    "seed": (),
    "trainer": ("max_steps", "max_epochs", "batch_size", "clip", "ema"),
    "device": ("processes", "micro_batch"),
    "loader": ("storage", "memory_limit", "workers"),
    **{name: () for name in _NODES},
}
"""Keys that using a run reads; others may be missing, as runs of older versions miss them."""

_MOST_VALUES, _DEEPEST, _LONGEST = 10_000, 10, 10_000


def check_config(values: Any) -> None:
    """`ValueError` with a line for each reason why `values`, of a checkpoint, is no config of a run."""
    problems = list(_shape_problems(values)) or [*_choice_problems(values["choices"]), *_type_problems(values)]
    if problems:
        raise ValueError("\n".join(problems))


def check_weights(state: dict) -> None:
    """`ValueError` unless a checkpoint holds weights by name, those of the model and those that are averaged."""
    for name in ("model", "ema"):
        weights = state.get(name)
        if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
            raise ValueError(f"{name}: must hold weights by name")


def _shape_problems(values: Any) -> Iterator[str]:
    """What stands in the way of looking at single keys."""
    if not isinstance(values, dict):
        yield f"config: must be a group of settings, not {type(values).__name__}"
        return
    known = [field.name for field in fields(TrainConfig)]
    for key in values:
        if key not in (*known, "choices"):
            yield f"config.{str(key)[:100]}: no such key; {did_you_mean(str(key)[:100], known)}"
    if "choices" not in values:
        yield "config.choices: is missing"
    for number, problem in enumerate(_value_problems("config", values, 0)):
        if number >= _MOST_VALUES:
            yield f"config: holds more than {_MOST_VALUES} values"
            return
        if problem:
            yield problem


def _value_problems(key: str, value: Any, depth: int) -> Iterator[str | None]:
    """Once for each value: why it is none that a resolved config holds, or None."""
    yield _value_problem(key, value)
    if depth > _DEEPEST:
        yield f"{key}: lies more than {_DEEPEST} levels deep"
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
        return f"{key}: is a text of {len(value)} letters" if len(value) > _LONGEST else None
    if isinstance(value, int):
        return f"{key}: is a number of {value.bit_length()} bits" if value.bit_length() > 64 else None
    return None if value is None or isinstance(value, (float, list)) else f"{key}: is a {type(value).__name__}"


def _choice_problems(choices: Any) -> Iterator[str]:
    if not isinstance(choices, dict) or set(choices) != {"model", "dataset"}:
        yield "config.choices: must name a model and a dataset, and nothing else"
        return
    for group, name in choices.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or ".." in name:
            yield f"config.choices.{group}={str(name)[:100]!r}: must be a name of letters, digits, '-' and '_'"


def _type_problems(values: dict[str, Any]) -> Iterator[str]:
    """Settings of the skeleton that have another type than there, or are not there."""
    for name, value in values.items():
        group = is_dataclass(hint_of(TrainConfig, name))
        if (group or name in _NODES) and not isinstance(value, dict):
            yield f"config.{name}={str(value)[:100]!r}: must be a group of settings"
        elif name not in (*_NODES, "choices"):
            for key, setting in ((f"{name}.{k}", v) for k, v in value.items()) if group else [(name, value)]:
                hint = hint_of(TrainConfig, key)
                if hint is None:
                    yield f"config.{key}: this version has no such key"
                elif not fits(setting, hint):
                    yield f"config.{misfit(key, setting, hint)}"
    for name, settings in _NEEDED.items():
        if name not in values:
            yield f"config.{name}: is missing"
        elif isinstance(values[name], dict):
            yield from (f"config.{name}.{setting}: is missing" for setting in settings if setting not in values[name])


_SECTIONS = ("model", "optimizers", "ema", "scaler", "window", "callbacks", "data")


def check_state(state: dict) -> None:
    """`ValueError` where a checkpoint does not hold what a run goes on from, in the types that it is saved in."""
    problems = [f"{name}: is no group of entries" for name in _SECTIONS if not isinstance(state.get(name), dict)]
    for name in ("step", "seed"):
        if type(state.get(name)) is not int or state[name] < 0:
            problems.append(f"{name}={str(state.get(name))[:100]}: must be a whole number of at least 0")
    if not isinstance(state.get("rate_factor"), float):
        problems.append("rate_factor: must be a number")
    if not problems:
        callbacks = state["callbacks"]
        written = callbacks.get("MetricsFile", {}).get("bytes", 0)
        if type(written) is not int or written < 0 or "final" not in callbacks.get("Status", {}):
            problems.append("callbacks: are not those of a run")
        problems += [f"{name}: is missing" for name in ("stop_reason", "told") if name not in state]
    if problems:
        raise ValueError("\n".join(["its state cannot be gone on from", *problems]))
