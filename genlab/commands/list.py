"""`genlab list`: models, datasets, networks and metrics, a line each, and what fits what."""

import textwrap
from collections.abc import Callable, Iterator

from genlab.config.build import build_source
from genlab.config.commands import ListConfig
from genlab.config.options import class_of, dataset_defaults, summary_of
from genlab.config.paths import group_choices, options
from genlab.contract.model import CAPABILITIES
from genlab.metrics.catalogue import METRICS, known
from genlab.system.plugins import Broken, plugin_of

Entry = tuple[str, str, list[str]]
"""Name, one sentence, and further lines."""

_WIDTH, _NAME = 120, 18


def main(asked: ListConfig) -> None:
    tables: dict[str, tuple[str, Callable[[], Iterator[Entry]]]] = {
        "models": ("model=NAME", _models),
        "datasets": ("dataset=NAME", _datasets),
        "networks": ("network=NAME", _networks),
        "metrics": ("metrics=[NAME, ...]", _metrics),
    }
    for what, (usage, entries) in tables.items():
        if asked.what in (None, what) and (rows := list(entries())):
            print(f"{what} ({usage})")
            for name, sentence, more in rows:
                _show(name, [sentence, *more])
            print()
    print("next       genlab COMMAND --help, or genlab data dataset=NAME to look at one")


def _show(name: str, lines: list[str]) -> None:
    for number, line in enumerate(lines):
        heading = f"  {'' if number else name:<{_NAME}} "
        print(textwrap.fill(line, _WIDTH, initial_indent=heading, subsequent_indent=(_NAME + 3) * " "))


def _choices(group: str, about: Callable[[str], list[str]]) -> Iterator[Entry]:
    """An entry for each choice of a group; of a plugin that cannot be imported, its error."""
    for name in options(group):
        try:
            plugin = plugin_of(f"{class_of(group, name).__module__}.")
            sentence = summary_of(group, name) + (f" [{plugin.distribution}]" if plugin else "")
            yield name, sentence, about(name)
        except Broken as error:
            yield name, str(error), []


def _models() -> Iterator[Entry]:
    def about(name: str) -> list[str]:
        model = class_of("model", name)
        able = [capability for capability in CAPABILITIES if hasattr(model, capability)]
        return [f"needs {', '.join(sorted(model.requires))}; can {', '.join(able)}"]

    return _choices("model", about)


def _datasets() -> Iterator[Entry]:
    def about(name: str) -> list[str]:
        try:
            provided, maybe = build_source(dataset_defaults(name)).spec.provides, ""
        except ValueError:  # it needs the user's files
            provided, maybe = class_of("dataset", name).may_provide, ", if your files do"
        fitting = [model for model in options("model") if _fits(model, provided)]
        return [f"provides {', '.join(sorted(provided))}{maybe}; for {', '.join(fitting)}"]

    return _choices("dataset", about)


def _fits(model: str, provided: frozenset[str]) -> bool:
    try:
        return class_of("model", model).requires <= provided
    except Broken:
        return False


def _networks() -> Iterator[Entry]:
    return _choices("network", lambda name: []) if "network" in group_choices() else iter(())


def _metrics() -> Iterator[Entry]:
    try:
        found = known()
    except ValueError as error:
        yield "", str(error), []
        found = METRICS
    for name, metric in found.items():
        values = [f"{value} ({direction or 'neither'})" for value, direction in metric.directions.items()]
        needs = [*metric.needs, *metric.fields, *(["classes"] if metric.classes else [])]
        yield name, metric.summary, [f"gives {', '.join(values)}; needs {', '.join(needs)}"]
