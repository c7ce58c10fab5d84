"""The keys of a chosen model, network, dataset ...: the part of a help page that follows the choices of its line."""

import textwrap
from collections.abc import Iterator

from genlab.commands.corrections import corrected
from genlab.commands.lines import text_of
from genlab.config.compose import Composed, compose_command, register
from genlab.config.files import comments_of, read_file
from genlab.config.options import summary_of
from genlab.contract.settings import flattened

_WIDTH, _COLUMN = 80, 32

_ALWAYS = ("model", "network", "dataset")
"""Groups that are shown whichever of a command's groups is chosen, as one choice may change the others."""


def chosen_keys(command: str, arguments: list[str]) -> str:
    """What the choices among the `arguments` bring: their keys with values and comments; empty if there are none.
    `ValueError` for a choice that there is not."""
    register()
    groups = read_file(f"{command}.yaml").choices
    meant, _ = corrected(command, arguments)
    asked = [text for text in meant if text.partition("=")[0] in groups]
    asked = [text if "[" in text else text.partition(",")[0] for text in asked]  # of a sweep, the first
    if not asked:
        return ""
    composed = compose_command(command, asked)
    comments = comments_of(command, composed.choices)
    shown = dict.fromkeys((*_ALWAYS, *(text.partition("=")[0] for text in asked)))
    sections = [_section(group, composed, comments) for group in shown if composed.choices.get(group)]
    return "".join("\n" + "\n".join(lines) + "\n" for lines in sections)


def _section(group: str, composed: Composed, comments: dict[str, str]) -> Iterator[str]:
    """A line on the choice of a group, and one or more for each of its keys."""
    name = composed.choices[group]
    yield textwrap.fill(f"{group}={name}: {summary_of(group, name)}", _WIDTH, subsequent_indent="  ")
    values = composed.values.get(group)
    for key, value in flattened(values, f"{group}.") if isinstance(values, dict) else ():
        if not key.endswith("_target_"):
            setting = f"  {key}={text_of(value)}"
            begin = setting.ljust(_COLUMN) if len(setting) < _COLUMN else f"{setting}\n{' ' * _COLUMN}"
            text = textwrap.wrap(comments.get(key, ""), _WIDTH - _COLUMN, break_on_hyphens=False)
            yield (begin + f"\n{' ' * _COLUMN}".join(text)).rstrip()
