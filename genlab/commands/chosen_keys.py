"""The keys of a chosen model, network, dataset ...: the part of a help page that follows the choices of its line."""

import textwrap
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from genlab.commands.corrections import corrected
from genlab.commands.lines import text_of
from genlab.config.compose import compose_command, register
from genlab.config.files import comments_of, read_file
from genlab.config.options import summary_of
from genlab.contract.settings import flattened
from genlab.system.text import shortened

_WIDTH, _COLUMN = 80, 32

_ALWAYS = ("model", "network", "dataset")
"""Groups that are shown whichever of a command's groups is chosen, as one choice may change the others."""


def chosen_keys(command: str, arguments: list[str]) -> str:
    """What the choices among the `arguments` bring: their keys with values and comments; empty if there are none.
    `ValueError` for a choice that there is not."""
    register()
    groups = read_file(f"{command}.yaml").choices
    meant, _ = corrected(command, arguments)
    asked = dict(text.partition("=")[::2] for text in meant if text.partition("=")[0] in groups)
    if not asked:
        return ""
    asked = {group: name if "[" in name else name.partition(",")[0] for group, name in asked.items()}  # one of a sweep
    composed = compose_command(command, [f"{group}={name}" for group, name in asked.items()])
    comments = comments_of(command, composed.choices)
    names = {group: composed.choices.get(group) or asked.get(group) for group in (*_ALWAYS, *asked)}
    sections = [_section(group, name, composed.values.get(group), comments) for group, name in names.items() if name]
    return "".join("\n" + "\n".join(lines) + "\n" for lines in sections)


def _section(group: str, name: str, values: Any, comments: dict[str, str]) -> Iterator[str]:
    """A line on the choice of a group, and one or more for each of its keys."""
    heading = f"{group}={name}"
    with suppress(ValueError, OSError):  # a list of choices, or one without a comment and a class
        heading += f": {summary_of(group, name)}"
    yield textwrap.fill(heading, _WIDTH, subsequent_indent="  ")
    for key, value in flattened(values, f"{group}.") if isinstance(values, dict) else ():
        if not key.endswith("_target_"):
            setting = f"  {key}={shortened(text_of(value), _WIDTH - len(key) - 6)}"
            begin = setting.ljust(_COLUMN) if len(setting) < _COLUMN else f"{setting}\n{' ' * _COLUMN}"
            text = textwrap.wrap(comments.get(key, ""), _WIDTH - _COLUMN, break_on_hyphens=False)
            yield (begin + f"\n{' ' * _COLUMN}".join(text)).rstrip()
