"""Type hints and user values: the hint of a key, whether a value fits it, and its description for users."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, Union

from genlab.contract.settings import limits_of

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
    Any: "given",
}


def hint_of(schema: type, key: str) -> Any:
    """The type of a dotted `key` of a schema: `Any` below an `Any` node, None if there is no such key."""
    hint: Any = schema
    for part in key.split("."):
        if hint is Any:
            return Any
        hint = typing.get_type_hints(hint).get(part) if is_dataclass(hint) else None
    return hint


def misfit(schema: type, key: str, value: Any, hint: Any) -> str:
    """Why the dotted `key`, of `schema` or of a class that it names, cannot have this `value`, and what it takes."""
    line = f"{key}={'null' if value is None else repr(value)}: must be "
    if choices := limits_of(schema, key).choices:
        return f"{line}one of {', '.join(choices)}"
    example = f", as in {key}=[{value}]" if not isinstance(value, list) and fits([value], hint) else ""
    return f"{line}{describe(hint)}{example}"


def takes_list(hint: Any) -> bool:
    """Whether a list can fit the hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(map(takes_list, arguments))
    return hint is Any or (isinstance(origin, type) and issubclass(origin, (Sequence, tuple)))


def fits(value: Any, hint: Any) -> bool:
    """Whether a YAML value has the type of a hint. No value fits a hint that YAML cannot express."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is tuple:
        if not isinstance(value, list):
            return False
        repeated = len(arguments) == 2 and arguments[1] is Ellipsis
        expected = [arguments[0]] * len(value) if repeated else arguments
        return len(value) == len(expected) and all(map(fits, value, expected))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(fits(v, arguments[1]) for v in value.values())
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
    return isinstance(hint, type) and isinstance(value, hint)


def describe(hint: Any) -> str:
    """A type hint in words for users."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        known = [argument for argument in arguments if argument in _WORDS or typing.get_origin(argument)]
        return " or ".join(describe(argument) for argument in sorted(known or arguments, key=takes_list))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} values, each {describe(arguments[0])}"
    if origin is not None and issubclass(origin, (Sequence, tuple)):
        return f"a list, each {describe(arguments[0])}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
