"""Overrides that Hydra would take, or refuse in words of its own, and that a command of GenLab's does not heed."""

from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.types import Override

from genlab.config.hints import hint_of, takes_list
from genlab.config.paths import groups
from genlab.config.schema import COMMANDS, unheeded


def misuses(command: str, parsed: list[Override]) -> Iterator[tuple[str, str]]:
    """Each override that this command does not heed, though Hydra may, and why."""
    for override in parsed:
        line, key = override.input_line, override.key_or_group
        if key in groups() and "/" in str(override.value()):  # it could climb out of the folder of configs
            yield line, f"{line}: {key} takes a name, and no path"
            continue
        if command == "train" and key.startswith("hydra"):
            continue
        free = _is_free(command, key)
        exists = command == "train" and key not in groups() and hint_of(COMMANDS[command], key) is not None
        if key.startswith("hydra"):
            yield line, f"{line}: genlab {command} takes no settings of Hydra's; see genlab {command} --help"
        elif key in [f"device.{name}" for name in unheeded(command)]:
            yield line, f"{line}: means nothing to genlab {command}"
        elif override.package is not None:
            yield line, f"{line}: write {key}={line.partition('=')[2]}, without @{override.package}"
        elif override.is_delete() and not free:
            yield line, f"{line}: no key can be taken away here; write key=value"
        elif (override.is_add() and not free) or (override.is_force_add() and not exists):
            yield line, f"{line}: write {line.lstrip('+')}, without +"


def _is_free(command: str, key: str) -> bool:
    """Whether a key may be added or taken away: of the nodes of a training config that name a class."""
    node, _, name = key.partition(".")
    return command == "train" and name != "" and COMMANDS[command].__annotations__.get(node) is Any


def several_values(command: str, override: Override) -> str:
    """Why `override`, which names several values, is refused where no sweep was asked for."""
    line, key = override.input_line, override.key_or_group
    if command == "train":
        return f"{line}: several values make a sweep, which needs -m: genlab train -m {line}"
    may_be_list = override.is_choice_sweep() and key not in groups() and takes_list(hint_of(COMMANDS[command], key))
    listed = f", or a list as in {key}=[{line.partition('=')[2]}]" if may_be_list else ""
    return f"{line}: give one value{listed}"
