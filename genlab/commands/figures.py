"""The figures of an evaluation as a table: by topic and extractor, with unit, better direction and deviation."""

from collections.abc import Iterator
from typing import Any

from genlab.metrics.catalogue import BASELINES, METRICS

_BETTER = {"max": "higher", "min": "lower", None: "-"}


def table(entries: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines on the entries of an evaluation, by the name of their value."""
    groups = _grouped(entries)
    width = max(map(len, entries)) + 3
    unit_width = max(len(unit) for names in groups.values() for unit in ("unit", *names.values()))
    yield f"{'':<{width}}{'value':>10}  {'unit':<{unit_width}}  better  standard deviation"
    for heading, names in groups.items():
        yield heading
        for name, unit in names.items():
            yield f"{f'  {name}':<{width}}{_figure(entries[name], f'{unit:<{unit_width}}')}".rstrip()


def _grouped(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Names of values and their units, in the catalogue's order, under their topic and extractor."""
    found: dict[str, dict[str, str]] = {}
    for metric_name, metric in METRICS.items():
        for name in (name for name in metric.directions if name in entries):
            topic = "diversity" if name in metric.of_diversity else metric.topic or metric_name
            extractor = entries[name]["protocol"].get("extractor")
            heading = f"{topic}, by {extractor}" if extractor else topic
            found.setdefault(heading, {})[name] = metric.units.get(name, "")
    return found


def _figure(entry: dict[str, Any], unit: str) -> str:
    if entry["value"] is None:
        return f"not measured: {entry['note']}"
    std = "" if entry["std"] is None else f"{entry['std']:.3g} over {entry['std_over']}"
    if beside := entry["protocol"].get(BASELINES):
        std = f"{std:<20}  " + ", ".join(f"{name} {value:.4g}" for name, value in beside.items())
    return f"{entry['value']:>10.5g}  {unit}  {_BETTER[entry['direction']]:<6}  {std}"
