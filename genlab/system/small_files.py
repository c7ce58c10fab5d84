"""JSON as it is written, and small YAML and JSON files read from untrusted sources: no code is run, and time and memory
are bounded.

Run folders are shared. A few lines of YAML can expand to gigabytes (aliases of aliases), brackets can nest deeper than
any stack, and a path can lead to a pipe or to an endless device.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

LARGEST = 2**20
"""Maximum size in bytes of a file, or of a line if a file is read line by line."""

_MAX_DEPTH, _MAX_LENGTH = 50, 3_000  # of YAML: levels, and characters of a value
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times faster, but not always available
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""A byte of a file name that is not UTF-8, as PyYAML writes it; the C loader cannot read it."""


class Unreadable(ValueError):
    """A missing or refused file. The message is one line: folder, file name and reason, never the file's content."""


class _Refused(ValueError):
    """A text that is not parsed, because of what it would take."""


def read_json(path: Path) -> Any:
    """Parse a JSON file of at most 1 MiB. `Unreadable`, a `ValueError`, if that fails."""
    return _parsed(path, json.loads, "JSON")


def json_text(value: Any, indent: int | None = None) -> str:
    """Plain values as JSON. It has neither NaN nor infinity: these become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_yaml(path: Path) -> Any:
    """Parse a YAML file of at most 1 MiB to values that JSON has as well. `Unreadable`, a `ValueError`, if that fails.

    Aliases, more than 50 levels, values of over 3,000 characters, and dates or other types are refused.
    """
    return _parsed(path, plain_yaml, "plain YAML")


def small_lines(path: Path) -> Iterator[bytes]:
    """Lines of a file of any size, with line ends. `Unreadable` if it is missing or has a line of more than 1 MiB."""
    with _opened(path) as file:
        while line := file.readline(LARGEST + 1):
            if len(line) > LARGEST:
                raise _unreadable(path, "refused: it has a line of more than 1 MiB")
            yield line


def _parsed(path: Path, parse: Callable[[str], Any], kind: str) -> Any:
    with _opened(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _unreadable(path, "refused: it has more than 1 MiB")
    try:
        return parse(content.decode())
    except _Refused as error:
        raise _unreadable(path, f"refused: {error}") from error
    except Exception as error:  # YAML's constructors raise anything
        raise _unreadable(path, f"damaged: it is no {kind}") from error


def plain_yaml(text: str) -> Any:
    """Parse a text as `read_yaml` does a file. `ValueError` if that refuses it."""
    if len(text.encode()) > LARGEST:
        raise _Refused("it has more than 1 MiB")
    depth = 0
    loader = yaml.SafeLoader if _SURROGATE.search(text) else _LOADER
    for event in yaml.parse(text, loader):  # nothing is built before all of it is known to be harmless
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_LENGTH:
            raise _Refused(f"it holds a value of more than {_MAX_LENGTH} characters, {event.value[:40]!r}...")
        if isinstance(event, yaml.AliasEvent) or depth > _MAX_DEPTH:
            raise _Refused("it has aliases or nests too deep")
    return json.loads(json.dumps(yaml.load(text, loader)))


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
