"""Overrides that are valid Hydra but not supported by the command."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from genlab.config.commands import COMMANDS, OPEN_GROUPS, SHORT_KEYS, ignored_device_keys
from genlab.config.hints import fits, hint_of
from genlab.config.paths import groups
from genlab.config.renamed import RENAMED_KEYS, RENAMED_VALUES
from genlab.contract.limits import limits_of

_HEEDED = ("hydra.run.dir", "hydra.sweep.", "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")
_HEEDED_WORDS = "hydra.run.dir, hydra.sweep.dir, and hydra/launcher and hydra/sweeper with their keys"


def unsupported(command: str, parsed: list[Override]) -> Iterator[tuple[str, str]]:
    """Each override that this command does not support, even if Hydra does, and why."""
    schema = COMMANDS[command].schema
    for override in parsed:
        line, key = override.input_line, override.key_or_group
        if renamed := _renamed(schema, override):
            yield line, renamed
            continue
        if key.partition(".")[0] == "for_data" and command == "train" and line != "for_data=null":
            yield line, f"{line}: is a part of recipes; set the keys themselves"
            continue
        if key in groups() and "/" in str(override.value()):  # it could point outside the config folder
            yield line, f"{line}: {key} takes a name, and no path"
            continue
        if command == "train" and key.startswith("hydra"):
            if not key.startswith(_HEEDED):
                yield (
                    line,
                    f"{line}: GenLab does not heed it; leave it out; of Hydra's settings it heeds {_HEEDED_WORDS}",
                )
            continue
        node, _, below = key.partition(".")
        free = command == "train" and below and hint_of(schema, node) is Any  # keys of a class may come and go
        is_open = below and node in OPEN_GROUPS  # whose keys `with_open_groups` adds
        exists = command == "train" and key not in groups() and hint_of(schema, key) is not None
        if key.startswith("hydra"):
            yield line, f"{line}: genlab {command} takes no settings of Hydra's; see genlab {command} --help"
        elif key in [f"device.{name}" for name in ignored_device_keys(command)]:
            yield line, f"{line}: means nothing to genlab {command}"
        elif override.package is not None:
            yield line, f"{line}: write {key}={line.partition('=')[2]}, without @{override.package}"
        elif override.is_delete() and not free:
            yield line, f"{line}: no key can be taken away here; write key=value"
        elif (override.is_add() and not free) or (override.is_force_add() and not exists and not is_open):
            yield line, f"{line}: write {line.lstrip('+')}, without +"


def _renamed(schema: type, override: Override) -> str | None:
    """The message for an override with an old name, None for any other."""
    line, key = override.input_line, override.key_or_group
    if hint_of(schema, key) is None and (name := RENAMED_KEYS.get(key)) and hint_of(schema, name) is not None:
        choices = limits_of(schema, name).choices
        return f"{line}: {key} is called {name} now" + (f", one of {', '.join(choices)}" if choices else "")
    if not override.is_sweep_override() and (word := RENAMED_VALUES.get((key, str(override.value())))):
        return f"{line}: write {key}={word}, as it is called now"
    return None


def several_values(command: str, override: Override, overrides: Sequence[str]) -> str:
    """Why an override with several values, one of `overrides`, is refused outside a sweep."""
    line, key = override.input_line, override.key_or_group
    if command == "train":
        return (
            f"{line}: several values make a sweep, which needs -m: {shlex.join(['genlab', 'train', '-m', *overrides])}"
        )
    hint = hint_of(COMMANDS[command].schema, key)
    may_be_list = override.is_choice_sweep() and key not in groups() and fits([], hint)
    listed = f", or a list as in {key}=[{line.partition('=')[2]}]" if may_be_list else ""
    if key.startswith("condition."):
        listed = f"; a name that holds a comma is quoted, as in '{key}=\"{line.partition('=')[2]}\"'"
    return f"{line}: give one value{listed}"


def with_open_groups(command: str, overrides: Sequence[str]) -> list[str]:
    """The overrides with short forms spelled out, and with Hydra's permission to add keys to open groups.
    `ValueError` if one key of an open group gets two values: Hydra would silently take the last.
    """
    keys = {group for group in OPEN_GROUPS if hint_of(COMMANDS[command].schema, group)}
    found, given = list[str](), dict[str, str]()
    for text in overrides:
        key, equals, value = text.partition("=")
        if SHORT_KEYS.get(key, "").partition(".")[0] in keys:
            key = SHORT_KEYS[key]
        group, dot, _ = key.partition(".")
        if group in keys and dot:
            if key in given:
                raise ValueError(f"{given[key]} {text}: two values of {key}; give one")
            given[key] = text
            key = f"++{key}"
        found.append(key + equals + value)
    return found
