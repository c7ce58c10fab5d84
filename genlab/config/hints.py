"""Keys, type hints and user values: whether a key exists and a value fits, and what to tell the user if not."""

import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, Union

from hydra.core.override_parser.types import Override, OverrideType

from genlab.contract.limits import limits_of
from genlab.system.text import did_you_mean

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
    Any: "given",
}


def hint_of(schema: type, key: str) -> Any:
    """The type of a dotted `key` of a schema: `Any` below an open node, None if there is no such key."""
    hint: Any = schema
    for part in key.split("."):
        if hint is Any or typing.get_origin(hint) is dict:
            return Any
        hint = typing.get_type_hints(hint).get(part) if is_dataclass(hint) else None
    return hint


def misfit(schema: type, key: str, value: Any, hint: Any) -> str:
    """Why the dotted `key`, of `schema` or of a class that it names, cannot have this `value`, and what it takes."""
    line = f"{key}={'null' if value is None else repr(value)}: must be "
    if choices := limits_of(schema, key).choices:
        return f"{line}one of {', '.join(choices)}"
    example = f", as in {key}=[{value}]" if not isinstance(value, list) and fits([value], hint) else ""
    if value is not None and not isinstance(value, (str, list, dict)) and fits(str(value), hint):
        example = f""", as in '{key}="{value}"'"""
    return f"{line}{describe(hint)}{example}"


def missing_part(values: Any, key: str, hidden: Collection[str] = ()) -> str | None:
    """Which part of a dotted `key` nested `values` do not have, and the names beside it, without the `hidden` ones."""
    walked: list[str] = []
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            names = [name for name in values if name not in hidden] if isinstance(values, dict) else []
            hint = f"; {did_you_mean(part, names)}" if names else ""
            return f"{'.'.join(walked) or 'the config'} has no key {part!r}{hint}"
        walked.append(part)
        values = values[part]
    return None


def is_wrong(override: Override, schema: type, config: Any, hidden: Collection[str] = ()) -> bool:
    """Whether a plain `key=value` has a key that the `config` does not have, or a value of another type than in its
    `schema`."""
    key = override.key_or_group
    known = not missing_part(config, key, hidden)
    return override.type == OverrideType.CHANGE and not (known and fits(override.value(), hint_of(schema, key)))


def fits(value: Any, hint: Any) -> bool:
    """Whether a YAML value has the type of a hint. No value fits a hint that YAML cannot express."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple and Ellipsis not in arguments:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(fits(inner, arguments[1]) for inner in value.values())
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
    if hint in (int, float):  # a whole number is a number, and true is none
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def describe(hint: Any) -> str:
    """A type hint in words for users."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        known = [argument for argument in arguments if argument in _WORDS or typing.get_origin(argument)]
        lists_last = sorted(known or arguments, key=lambda argument: fits([], argument))
        return " or ".join(map(describe, lists_last))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} values, each {describe(arguments[0])}"
    if origin is not None and issubclass(origin, Sequence):
        return f"a list, each {describe(arguments[0])}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
