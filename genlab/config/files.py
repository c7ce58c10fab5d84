"""The YAML files as they are written: their values, the files that they choose, and the comment of each key. Without
Hydra, which knows no comments, and takes a quarter of a second to import."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genlab.config.paths import config_file
from genlab.contract.settings import flattened

_LAST = ("model", "experiment", "sweep")
"""Groups whose files set keys of others, in order of precedence."""


@dataclass
class ConfigFile:
    """A file with its bases. values, comments: by dotted key. choices: the chosen file by group."""

    values: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


def read_file(name: str, package: str | None = None) -> ConfigFile:
    """The file `name`, such as model/vae.yaml; empty if there is none. package: the node of its keys, by default the
    one that it names itself, or else its group."""
    file = config_file(name)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    content = yaml.safe_load(text)
    content = content if isinstance(content, dict) else {}
    if package is None:
        named = re.match(r"# @package (\S+)", text)
        package = named[1] if named else Path(name).parent.name
        package = "" if package in ("", "_global_") else f"{package}."
    found = ConfigFile()
    for base in content.pop("defaults", []):
        group, choice = next(iter(base.items())) if isinstance(base, dict) else (None, base)
        if group is None:
            inner = read_file(str(Path(name).with_name(f"{choice}.yaml")))
        elif group.endswith("@_global_"):
            inner = read_file(f"{group.removesuffix('@_global_').lstrip('/')}/{choice}.yaml", "")
        else:
            inner = ConfigFile(choices={group.removeprefix("override ").lstrip("/"): choice})
        for part, more in vars(inner).items():
            getattr(found, part).update(more)
    found.values |= {f"{package}{key}": value for key, value in flattened(content)}
    found.comments |= {f"{package}{key}": comment for key, comment in _comments(text)}
    return found


def comments_of(command: str, choices: Mapping[str, Any]) -> dict[str, str]:
    """The comments of a command's keys with the chosen file by group; those of a recipe win, as its values do."""
    found = read_file(f"{command}.yaml").comments
    chosen = [group for group in choices if isinstance(choices[group], str)]
    for group in sorted(chosen, key=lambda group: _LAST.index(group) if group in _LAST else -1):
        found |= read_file(f"{group}/{choices[group]}.yaml").comments
    return found


def with_comments(text: str, comments: Mapping[str, str], column: int = 32) -> str:
    """A YAML text with the comment of each key behind its value, from `column` on."""
    lines = text.splitlines()
    for key, _, mark in _marks(text):
        if key in comments:
            lines[mark.line] = f"{lines[mark.line]:<{column}}  # {comments[key]}"
    return "".join(f"{line}\n" for line in lines)


def _marks(text: str) -> Iterator[tuple[str, Any, Any]]:
    """Each key, dotted; where it begins, and where a comment on it can stand: behind its value, or behind the key if
    the value begins on another line."""
    nodes = [("", yaml.compose(text, Loader=yaml.SafeLoader))]
    while nodes:
        above, node = nodes.pop()
        for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
            inside = isinstance(value, yaml.CollectionNode) and not value.flow_style
            yield f"{above}{name.value}", name.start_mark, name.end_mark if inside else value.end_mark
            nodes.append((f"{above}{name.value}.", value))


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """The comment of each key that has one: behind its value, with the lines that go on in the same column; or else
    right above it. The comment that begins the file is on the whole of it."""
    lines = text.splitlines()
    for key, begin, mark in _marks(text):
        if found := re.match(r":?\s*# *(.*)", lines[mark.line][mark.column :]):
            column = lines[mark.line].index("#", mark.column)
            below = [found[1], *_run_of_comments(lines[mark.line + 1 :], column)]
            yield key, " ".join(below)
        else:
            above = list(_run_of_comments(lines[begin.line - 1 :: -1] if begin.line else [], begin.column))
            if above and len(above) < begin.line:
                yield key, " ".join(reversed(above))


def _run_of_comments(lines: list[str], column: int) -> Iterator[str]:
    """The first of `lines`, as long as they are comments that begin in a column."""
    for line in lines:
        if line[:column].strip() or line[column : column + 1] != "#":
            return
        yield line[column:].lstrip("# ")
