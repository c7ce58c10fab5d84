"""Small YAML and JSON files that may come from anybody: nothing in them is run, and reading them takes little memory.

A run's folder is often somebody else's. A few lines of YAML can stand for gigabytes (aliases of aliases), brackets can
nest deeper than any stack, and a name may lead to a pipe or a device that never ends.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

LARGEST = 2**20
"""Bytes that a file may have, or a line of a file that is read line by line."""

_DEEPEST = 50
_LONGEST = 3_000  # letters of a value; an integer of so many hexadecimal digits can still be printed
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times faster, but not everywhere


class Unreadable(ValueError):
    """A file that is missing or refused: one line with its folder, its name and the reason, and nothing of its text."""


def read_json(path: Path) -> Any:
    """What a JSON file of at most 1 MiB holds. `Unreadable`, a `ValueError`, where it cannot be read."""
    text = _text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, "damaged: it is no JSON") from error


def read_yaml(path: Path) -> Any:
    """What a YAML file of at most 1 MiB holds, as plain values. `Unreadable`, a `ValueError`, where it cannot be read.

    Refused are aliases, tags that name anything but plain values, more than 50 levels, values of over 3,000 letters.
    """
    text = _text(path)
    try:
        reason = _excess(text)
        content = None if reason else yaml.load(text, _LOADER)
    except Exception as error:  # constructors raise whatever they like: YAMLError, KeyError, AttributeError
        raise _unreadable(path, "damaged: it is no plain YAML") from error
    if reason:
        raise _unreadable(path, reason)
    return content


def small_lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends, of a file of any size. `Unreadable` where there is none, and at a line of over 1 MiB."""
    with _opened(path) as file:
        while line := file.readline(LARGEST + 1):
            if len(line) > LARGEST:
                raise _unreadable(path, "refused: it has a line of more than 1 MiB")
            yield line


def _text(path: Path) -> str:
    with _opened(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _unreadable(path, "refused: it has more than 1 MiB")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path, "damaged: it is no text") from error


def _excess(text: str) -> str | None:
    """What of a YAML text is more than any config has, found without building anything."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            return "refused: it has aliases, of which a few lines make gigabytes"
        if depth > _DEEPEST:
            return f"refused: it nests more than {_DEEPEST} deep"
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
            return f"refused: it has a value of more than {_LONGEST} letters"
    return None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.exists() and not path.is_file():
            raise _unreadable(path, "refused: it is no plain file")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise Unreadable(f"{path.parent}: has no {path.name}") from error
    except OSError as error:
        raise _unreadable(path, f"unreadable: {error.strerror}") from error


def _unreadable(path: Path, reason: str) -> Unreadable:
    return Unreadable(f"{path.parent}: its {path.name} is {reason}")
