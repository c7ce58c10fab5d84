"""The figures of an evaluation as a table: by topic, with unit, better direction, deviation and extractor."""

from collections.abc import Iterator
from typing import Any

from genlab.metrics.catalogue import METRICS

_BETTER = {"max": "higher", "min": "lower", None: "-"}


def table(entries: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines on the entries of an evaluation, by the name of their value."""
    width = max(map(len, entries)) + 2
    yield f"{'':<{width}}{'value':>10}  {'unit':<8}  {'better':<6}  standard deviation"
    for heading, names in _grouped(entries).items():
        yield heading
        for name, unit in names.items():
            yield f"  {name:<{width}}{_figure(entries[name], unit)}".rstrip()


def _grouped(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Names of values and their units, in the catalogue's order, under their topic and extractor."""
    found: dict[str, dict[str, str]] = {}
    for metric_name, metric in METRICS.items():
        for name in metric.directions:
            if name not in entries:
                continue
            topic = "diversity" if name in metric.of_diversity else metric.topic or metric_name
            extractor = entries[name]["protocol"].get("extractor")
            heading = f"{topic}, by {extractor}" if extractor else topic
            found.setdefault(heading, {})[name] = metric.units.get(name, "")
    return found


def _figure(entry: dict[str, Any], unit: str) -> str:
    if entry["value"] is None:
        return f"not measured: {entry['note']}"
    std = "" if entry["std"] is None else f"{entry['std']:.3g} over {entry['std_over']}"
    return f"{entry['value']:>8.5g}  {unit:<8}  {_BETTER[entry['direction']]:<6}  {std}"
