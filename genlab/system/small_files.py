"""Safe reading of small YAML and JSON files from untrusted sources: no code is run, and memory is bounded.

Run folders are shared. A few lines of YAML can expand to gigabytes (aliases of aliases), brackets can nest deeper than
any stack, and a path can lead to a pipe or to an endless device.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

LARGEST = 2**20
"""Maximum size in bytes of a file, or of a line if a file is read line by line."""

_MAX_DEPTH = 50
_MAX_LENGTH = 3_000  # characters of a value; Python still prints an integer of that many hexadecimal digits
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times faster, but not always available


class Unreadable(ValueError):
    """A missing or refused file. The message is one line: folder, file name and reason, never the file's content."""


def read_json(path: Path) -> Any:
    """Parse a JSON file of at most 1 MiB. `Unreadable`, a `ValueError`, if that fails."""
    text = _text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, "damaged: it is no JSON") from error


def read_yaml(path: Path) -> Any:
    """Parse a YAML file of at most 1 MiB to plain values. `Unreadable`, a `ValueError`, if that fails.

    Aliases, tags of anything but plain values, more than 50 levels and values of over 3,000 characters are refused.
    """
    text = _text(path)
    try:
        reason = _limit_problem(text)
        content = None if reason else yaml.load(text, _LOADER)
    except Exception as error:  # constructors raise anything: YAMLError, KeyError, AttributeError
        raise _unreadable(path, "damaged: it is no plain YAML") from error
    if reason:
        raise _unreadable(path, reason)
    return content


def small_lines(path: Path) -> Iterator[bytes]:
    """Lines of a file of any size, with line ends. `Unreadable` if it is missing or has a line of more than 1 MiB."""
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


def _limit_problem(text: str) -> str | None:
    """Why a YAML text exceeds the limits, None if it does not; checked on parse events, before anything is built."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            return "refused: it has aliases, which can expand to gigabytes"
        if depth > _MAX_DEPTH:
            return f"refused: it nests more than {_MAX_DEPTH} deep"
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_LENGTH:
            return f"refused: it has a value of more than {_MAX_LENGTH} characters"
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
