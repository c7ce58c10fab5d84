"""Validation of a checkpoint's config and state before use: they may come from an untrusted source."""

import json
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from itertools import islice
from typing import Any

import yaml
from torch import Tensor

from genlab.config.hints import fits, misfit
from genlab.contract.settings import RunConfig, flattened, typed
from genlab.system.small_files import plain_yaml
from genlab.system.text import did_you_mean, printable

_MOST_LINES, _LONGEST_LINE, _MOST_LEVELS = 100, 300, 10


def stored_config(values: Any) -> RunConfig:
    """The typed config of a checkpoint or a `config.yaml`, from JSON values. `ValueError` with a line per problem."""
    if not isinstance(values, dict) or not _is_plain(values):
        raise ValueError(f"config: must be a group of plain settings, at most {_MOST_LEVELS} levels deep")
    values = _renamed(values)
    for found in (_type_problems(RunConfig, values), _text_problems(values)):
        refuse(f"config.{line}" for line in found)
    return typed(RunConfig, values)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The same in today's words: `model.label_input` of a conditional GAN has become one of three values."""
    model = values.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("label_input"), bool):
        return values
    rest = {key: value for key, value in model.items() if key != "label_input"}
    return {**values, "model": {**rest, "label": "input" if model["label_input"] else "projection"}}


def as_yaml(config: RunConfig) -> str:
    """A run's config as `config.yaml` holds it."""
    return yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)


def unstorable(config: RunConfig) -> list[str]:
    """A line for each setting with which a run could be trained, but not be loaded again from what it stores."""
    values = config.to_dict()
    try:
        stored_config(json.loads(json.dumps(values)))
        again = plain_yaml(as_yaml(config).encode().decode())
    except ValueError as error:
        return [line.removeprefix("config.") for line in str(error).splitlines()]
    stored, missing = dict(flattened(again)), object()
    # by their texts, since NaN is not equal to itself
    changed = [(key, value) for key, value in flattened(values) if repr(stored.get(key, missing)) != repr(value)]
    return [f"{key}={value!r}: cannot be stored as it is; give another value" for key, value in changed]


def refuse(problems: Iterable[str]) -> None:
    """`ValueError` if there are `problems`, a line for each of the first hundred. Their text may be a stranger's."""
    if lines := [printable(line[:_LONGEST_LINE]) for line in islice(problems, _MOST_LINES)]:
        raise ValueError("\n".join(lines))


def _is_plain(value: Any, level: int = 0) -> bool:
    """Whether a value, nested ones included, is one of JSON."""
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return level < _MOST_LEVELS and all(_is_plain(part, level + 1) for part in inner)
    return value is None or isinstance(value, (str, int, float))


def _type_problems(schema: Any, values: dict[str, Any], above: str = "") -> Iterator[str]:
    """Settings that are missing, unknown or of the wrong type. Nodes that name a class are checked with that class."""
    known = typing.get_type_hints(schema)
    yield from (f"{above}{name}: is missing" for name in known if name not in values)
    for name, value in values.items():
        key = above + name
        if name not in known:
            yield f"{key}: no such key; {did_you_mean(name, known)}"
        elif (names_class := known[name] is Any) or is_dataclass(known[name]):
            if name in ("network", "callbacks") and value is None:  # some models take none
                continue
            if not isinstance(value, dict):
                yield f"{key}={value!r}: must be a group of settings"
            elif not names_class:
                yield from _type_problems(known[name], value, f"{key}.")
        elif not fits(value, known[name]):
            yield misfit(RunConfig, key, value, known[name])


def _text_problems(values: dict[str, Any]) -> Iterator[str]:
    """Texts that would be resolved, and names that are used in file names but are paths."""
    for key, value in flattened(values):
        if "${" in str(value):
            yield f"{key}={value}: must be resolved; a run's config refers to nothing else"
    for group, name in values["choices"].items():
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or ".." in name:
            yield f"choices.{group}={name!r}: must be a name of letters, digits, '-' and '_'"


def check_weights(state: dict) -> None:
    """`ValueError` unless a checkpoint holds weights by name, both the model's and the averaged ones."""
    for name in ("model", "ema"):
        weights = state.get(name)
        if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
            raise ValueError(f"{name}: must hold weights by name")


_SECTIONS = ("model", "optimizer", "ema", "scaler", "metric_window", "callbacks", "data", "order")


def check_state(state: dict) -> None:
    """`ValueError` unless a checkpoint holds everything that resuming needs, with the types it was saved in."""
    problems = [f"{name}: is no group of entries" for name in _SECTIONS if not isinstance(state.get(name), dict)]
    if type(step := state.get("step")) is not int or step < 0:
        problems.append(f"step={str(step)[:100]}: must be a whole number of at least 0")
    if type(seed := state.get("seed")) is not int:
        problems.append(f"seed={str(seed)[:100]}: must be a whole number")
    if not isinstance(state.get("lr_scale"), float):
        problems.append("lr_scale: must be a number")
    if not problems:
        rows, status = state["callbacks"].get("metrics_file", {}), state["callbacks"].get("status")
        written = rows.get("bytes", 0) if isinstance(rows, dict) else None
        if type(written) is not int or written < 0 or not isinstance(status, dict) or "final" not in status:
            problems.append("callbacks: are not those of a run")
        problems += [f"{name}: is missing" for name in ("stop_reason", "notified") if name not in state]
        order = state["order"]
        if order and (type(order.get("epoch")) is not int or not isinstance(order.get("weights"), Tensor)):
            problems.append("order: is none of a run")
    if problems:
        raise ValueError("\n".join(["no run can be resumed from its state", *problems]))
