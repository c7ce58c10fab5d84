"""`genlab list`: models, datasets, networks and metrics, a line each, and what fits what."""

import sys
import textwrap
from collections.abc import Callable, Iterator

from genlab.config.commands import ListConfig
from genlab.config.options import class_of, models_that_fit, summary_of, usual_spec
from genlab.config.paths import group_choices, options
from genlab.contract.model import CAPABILITIES
from genlab.inference.scoring import METHODS
from genlab.metrics.catalogue import METRICS, add_plugins
from genlab.system.plugins import Broken, blamed, plugin_of
from genlab.system.text import columns_of

Entry = tuple[str, str, list[str]]
"""Name, one sentence, and further lines."""

_USES = {
    "sample": ["sample"],
    "reconstruct": ["reconstruct"],
    "interpolate": ["decode"],
    "traverse": ["decode"],
    "translate": ["translate"],
    "restore": ["restore"],
    "encode": ["encode"],
    "score": [method.needs for method in METHODS.values()],
}
"""Capabilities, one of which a command needs; the other commands serve all models."""

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
    width = min(_WIDTH, columns_of(sys.stdout) or _WIDTH)
    for number, line in enumerate(lines):
        heading = f"  {'' if number else name:<{_NAME}} "
        print(textwrap.fill(line, width, initial_indent=heading, subsequent_indent=(_NAME + 3) * " "))


def _choices(group: str, about: Callable[[str], list[str]]) -> Iterator[Entry]:
    """An entry for each choice of a group; of a plugin that fails, its error."""
    for name in options(group):
        try:
            plugin = plugin_of(f"{class_of(group, name).__module__}.")
            with blamed(plugin, f"fails at {group}={name}"):
                entry = (summary_of(group, name) + (f" [{plugin.distribution}]" if plugin else ""), about(name))
        except Broken as error:
            entry = (str(error), [])
        yield name, *entry


def _models() -> Iterator[Entry]:
    def about(name: str) -> list[str]:
        model = class_of("model", name)
        needs = f"models {', '.join(sorted(model.kinds))}; needs {', '.join(sorted(model.requires, key=_order))}"
        under = f", conditioned on {', '.join(model.conditions)}" if model.conditions else ""
        return [f"{needs}; for genlab {', '.join(_commands_of(model))}{under}"]

    return _choices("model", about)


def _order(field: str) -> tuple[bool, str]:
    """Sorts modelled fields before those that describe them."""
    return field not in ("x", "a", "b"), field


def _commands_of(model: type) -> list[str]:
    """The commands that use a capability of the model."""
    able = {word for word in CAPABILITIES if hasattr(model, word)}
    return [command for command, words in _USES.items() if able & set(words)]


def _datasets() -> Iterator[Entry]:
    def about(name: str) -> list[str]:
        found = class_of("dataset", name)
        try:
            data = usual_spec(name)
            fields = str(data)
            fitting = models_that_fit(data.provides, {data[domain].kind for domain in data.domains})
        except Broken:
            raise
        except ValueError:  # it needs the user's files
            fields = f"{', '.join(sorted(found.may_provide, key=_order))} of kind {found.kind}, as your files have them"
            fitting = models_that_fit(found.may_provide, {found.kind})
        return [f"{fields}; for {', '.join(fitting) or 'no model yet'}"]

    return _choices("dataset", about)


def _networks() -> Iterator[Entry]:
    def about(name: str) -> list[str]:
        network = class_of("network", name)
        parts = [part for part in ("encoder", "decoder", "translator", "autoregressive") if _makes(network, part)]
        return [f"serves {'images' if network.images_only else 'any shape'}; makes {', '.join(parts)}"]

    return _choices("network", about) if "network" in group_choices() else iter(())


def _makes(network: type, part: str) -> bool:
    """Whether a network has a method of its own for a part."""
    return any(part in vars(base) for base in network.__mro__[:-2])  # without Network, which refuses, and object


def _metrics() -> Iterator[Entry]:
    for problem in add_plugins():
        yield "", problem, []
    for name, metric in METRICS.items():
        values = [f"{value} ({direction or 'neither'})" for value, direction in metric.directions.items()]
        needs = [*metric.needs, *metric.fields, *metric.kinds]
        needs += [word for word in ("classes", "modes") if getattr(metric, word)]
        yield name, metric.summary, [f"gives {', '.join(values)}; needs {', '.join(needs)}"]
