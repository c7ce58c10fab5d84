"""The help pages of `genlab` and `genlab COMMAND --help`. Imports nothing slow."""

import textwrap
from pathlib import Path

from genlab.config.commands import COMMANDS
from genlab.config.paths import group_choices
from genlab.metrics.catalogue import METRICS
from genlab.system.version import __version__

_PAGES = Path(__file__).with_name("help")

_SHARED = ("common_keys", "input_keys", "data_keys")
"""Texts that several pages hold."""

_EPILOGUE = """
  genlab COMMAND --help      the keys of a command, and with model=NAME of that model
  genlab completion          how to enable tab completion in bash, zsh and fish

Start with `genlab train`: a VAE on handwritten digits, in under a minute."""


def usage() -> str:
    """The page of `genlab` without a command: all commands with their summaries."""
    lines = [f"GenLab {__version__}: train deep generative models from the command line.", ""]
    lines += ["usage: genlab COMMAND [key=value ...]", ""]
    lines += [f"  {name:<12} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(lines) + "\n" + _EPILOGUE


def help_page(command: str) -> str:
    """The page of one command."""
    text = (_PAGES / f"{command}.txt").read_text(encoding="utf-8").rstrip()
    shared = {name: (_PAGES / f"{name}.txt").read_text(encoding="utf-8").rstrip() for name in _SHARED}
    return text.format(**shared, groups=_group_table(), metrics=_metric_table())


def _group_table() -> str:
    rows = ["groups (group=choice)"]
    for group, names in group_choices().items():
        if len(names) > 1:
            rows += _wrapped(group, ", ".join(names))
    return "\n".join(rows)


def _metric_table() -> str:
    rows = []
    for group in ("samples", "data", "translation"):
        found = {name: metric.summary for name, metric in METRICS.items() if metric.group == group}
        texts = [name if name == summary else f"{name} ({summary})" for name, summary in found.items()]
        rows += _wrapped(group, ", ".join(texts))
    return "\n".join(rows)


def _wrapped(heading: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, width=100, break_on_hyphens=False, initial_indent=f"  {heading:<13}", subsequent_indent=15 * " "
    )
