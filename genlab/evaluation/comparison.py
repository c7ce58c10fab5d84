"""Runs side by side: what their folders say, in which settings they differ, mean and spread over seeds.

Reads YAML and JSON alone. What a folder holds may come from anybody: nothing in it is run, and a folder that cannot be
read is left out with a line that says why.
"""

import ast
import json
import math
import os
import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genlab.config.compose import did_you_mean
from genlab.config.paths import code_folder

SEEDS = ("seed", "dataset.seed")
"""Settings in which runs may differ and still be repeats of one another."""

_PLACES = ("data_dir", "output_dir")
_TELLING = 4
_LARGE = 1e100  # squares beyond it overflow
_DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, yaml.YAMLError)


@dataclass
class Record:
    """What one run's folder says.

    settings: its config by dotted key; metrics: final values by name; curves: by name, (step, value) in the order of
    steps; directions: "min" or "max" for metrics that rank, the first ranks its model; previews: the last PNG of each
    kind; notes: a line for each part of the folder that could not be used.
    """

    folder: Path
    name: str
    settings: dict[str, Any]
    status: str
    step: int
    steps_per_second: float | None
    metrics: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    directions: dict[str, str]
    previews: dict[str, Path]
    notes: list[str] = field(default_factory=list)


@dataclass
class Estimate:
    """Mean and sample standard deviation (None for a single value) over `count` runs."""

    mean: float
    spread: float | None
    count: int

    def __str__(self) -> str:
        if self.spread is None:
            return f"{self.mean:.4g}"
        if not 0 < self.spread < math.inf:
            return f"{self.mean:.4g} ± {self.spread:.2g}"
        decimals = max(0, 1 - math.floor(math.log10(self.spread)))  # two digits of the spread
        style = f".{decimals}f" if decimals <= 6 and abs(self.mean) < 1e6 else ".4g"
        return f"{self.mean:{style}} ± {self.spread:{style}}"


@dataclass
class Row:
    """Runs that differ in their seed alone. settings: those of the first."""

    records: list[Record]
    label: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        return self.records[0].settings

    @property
    def name(self) -> str:
        names = [record.name for record in self.records]
        joined = ", ".join(names)
        return joined if len(joined) <= 24 or len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    @property
    def status(self) -> str:
        states = [record.status for record in self.records]
        kinds = {state: states.count(state) for state in states}
        return states[0] if len(kinds) == 1 else ", ".join(f"{count} {state}" for state, count in kinds.items())

    @property
    def steps(self) -> str:
        smallest, largest = (extreme(record.step for record in self.records) for extreme in (min, max))
        return str(largest) if smallest == largest else f"{smallest} to {largest}"

    @property
    def speed(self) -> float | None:
        """Mean steps per second of those runs that tell it."""
        rates = [record.steps_per_second for record in self.records if record.steps_per_second is not None]
        return statistics.fmean(rates) if rates else None

    def best_record(self, metric: str, descending: bool) -> Record:
        """The run with the smallest value of the metric, or the largest; the first where none has one."""
        found = [record for record in self.records if math.isfinite(record.metrics.get(metric, math.nan))]
        return (max if descending else min)(found or self.records[:1], key=lambda record: record.metrics.get(metric, 0))

    def estimate(self, metric: str) -> Estimate | None:
        """The metric over those of the runs that have it."""
        values = [record.metrics[metric] for record in self.records if metric in record.metrics]
        if not values:
            return None
        spread = None
        if len(values) > 1:
            spread = statistics.stdev(values) if all(abs(value) < _LARGE for value in values) else math.nan
        return Estimate(sum(values) / len(values), spread, len(values))


@dataclass
class Comparison:
    """Rows from best to worst by `metric` (None where no run has measured anything).

    differing: dotted keys whose values are not the same in all runs, seeds apart; keys: those of them that tell the
    rows apart, without those that the choice of model and dataset brings along; metrics: names, the sorting one first.
    """

    rows: list[Row]
    differing: list[str]
    keys: list[str]
    metrics: list[str]
    metric: str | None
    descending: bool
    directions: dict[str, str]

    @property
    def records(self) -> list[Record]:
        return [record for row in self.rows for record in row.records]

    @property
    def repeated(self) -> bool:
        """Whether any row stands for several seeds."""
        return any(len(row.records) > 1 for row in self.rows)

    @property
    def caution(self) -> str | None:
        """What to keep in mind where the numbers of these runs mean different things."""
        datasets = dict.fromkeys(str(row.settings.get("choices.dataset")) for row in self.rows)
        return f"measured on different data ({', '.join(datasets)})" if len(datasets) > 1 else None

    def best(self, metric: str) -> Row | None:
        """The row with the best mean of a metric whose direction is known."""
        found = [(e.mean, row) for row in self.rows if (e := row.estimate(metric)) and math.isfinite(e.mean)]
        if not found or metric not in self.directions:
            return None
        return (max if self.directions[metric] == "max" else min)(found, key=lambda pair: pair[0])[1]


def find_runs(places: Iterable[str | Path]) -> list[Path]:
    """Folders of runs: `places` themselves, or at any depth below them. `ValueError` where a place is no folder."""
    found: dict[Path, Path] = {}
    for place in map(Path, places):
        if not place.is_dir():
            raise ValueError(f"runs={place}: no such folder")
        for folder, below, files in os.walk(place):
            if "config.yaml" in files and ({"status.json", "metrics.jsonl"} & {*files} or "checkpoints" in below):
                found.setdefault(Path(folder).resolve(), Path(folder))
                below.clear()
            below[:] = sorted((name for name in below if not name.startswith(".")), key=_natural)
    return list(found.values())


def collect(folders: list[Path]) -> tuple[list[Record], list[str]]:
    """What can be read of the runs, and a line for each thing that cannot."""
    records, problems = [], []
    for folder, name in zip(folders, short_names(folders), strict=True):
        try:
            records.append(read_run(folder, name))
            problems += records[-1].notes
        except ValueError as error:
            problems.append(f"{error}; this run is left out")
    return records, problems


def short_names(folders: list[Path]) -> list[str]:
    """Paths of the runs below the folder that they have in common."""
    if len(folders) == 1:
        return [folders[0].resolve().name]
    common = os.path.commonpath([folder.resolve() for folder in folders]) if folders else ""
    return [str(folder.resolve().relative_to(common)) for folder in folders]


def read_run(folder: Path, name: str) -> Record:
    """One run's folder. `ValueError` with one line where it cannot be read."""

    def part(file: str, read):
        try:
            return read((folder / file).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ValueError(f"{folder}: has no {file}") from error
        except _DAMAGE as error:
            raise ValueError(f"{folder}: its {file} is damaged or of another version") from error

    settings = part("config.yaml", _settings)
    state = part("status.json", _state)
    curves, unfinished = part("metrics.jsonl", _curves) if (folder / "metrics.jsonl").exists() else ({}, False)
    notes = [f"{folder}: the last line of its metrics.jsonl is unfinished and not shown"] if unfinished else []
    directions = {f"validation/{metric}": way for metric, way in ranking(settings["model._target_"]).items()}
    measured, ways = part("evaluation.json", _evaluation) if (folder / "evaluation.json").exists() else ({}, {})
    state["metrics"] |= measured
    return Record(folder, name, settings, **state, curves=curves, directions=directions | ways,
                  previews=_previews(folder / "previews"), notes=notes)  # fmt: skip


def ranking(target: str) -> dict[str, str]:
    """`metrics` of the model class that `target` names: "min" or "max" by name. Empty where that is not GenLab's.

    Taken from the source text: importing a model would run code, and cost the seconds that torch takes.
    """
    module, _, name = str(target).rpartition(".")
    path = code_folder().joinpath(*module.split(".")).with_suffix(".py")
    if not re.fullmatch(r"genlab\.models\.\w+", module) or not path.is_file():
        return {}
    imported, classes = {}, {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = node
    if name not in classes:
        return {}
    for node in classes[name].body:
        names = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if "metrics" in [getattr(target, "id", None) for target in names]:
            return ast.literal_eval(node.value)
    bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
    return next(filter(None, (ranking(imported.get(base, f"{module}.{base}")) for base in bases)), {})


def compare(records: list[Record], metric: str | None = None, order: str | None = None) -> Comparison:
    """Put runs into rows and sort them by `metric`, or by the first that ranks models and that all runs have.

    order: "ascending" or "descending"; by default the better first, ascending where nothing says what is better.
    `ValueError` for a metric that no run has.
    """
    rows = _rows(records)
    directions = _agreed(record.directions for record in records)
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    if metric is not None and metric not in metrics:
        raise ValueError(f"metric={metric}: {_unknown(metric, metrics)}")
    if metric is None and metrics:
        ranked = [*(name for name in directions if name in metrics), *metrics]
        metric = max(ranked, key=lambda name: sum(name in record.metrics for record in records))
    if metric and order:
        directions[metric] = "max" if order == "descending" else "min"
    descending = directions.get(metric) == "max"

    def place(row: Row) -> tuple[bool, float]:
        estimate = row.estimate(metric) if metric else None
        measured = estimate is not None and math.isfinite(estimate.mean)
        return not measured, (-estimate.mean if descending else estimate.mean) if measured else 0.0

    differing = _differing(rows)
    keys = [key for key in differing if not _brought_along(key, rows)]
    rows.sort(key=place)
    for row in rows:
        row.label = _label(row, keys) if len(rows) > 1 else row.name
    names = [metric, *(name for name in metrics if name != metric)] if metric else []
    return Comparison(rows, differing, keys, names, metric, descending, directions)


def short_key(key: str) -> str:
    """A dotted key as a heading."""
    return key.removeprefix("choices.")


def _label(row: Row, keys: list[str]) -> str:
    """What tells a row from the others, in words as long as these are few, else by the name of its run."""
    told = {key: str(row.settings[key]) for key in keys if row.settings.get(key) is not None}
    choices = [value for key, value in told.items() if key.startswith("choices.")]
    others = [f"{key.rpartition('.')[2]} {value}" for key, value in told.items() if not key.startswith("choices.")]
    if len(keys) > _TELLING:
        return ", ".join([*(choice for choice in choices if choice not in row.name), row.name])
    return ", ".join([*choices, *others]) or row.name


def _rows(records: list[Record]) -> list[Row]:
    """Repeats share a row; a second run of a seed is no repeat but begins another row."""
    rows: dict[tuple, Row] = {}
    for record in records:
        kept = {k: v for k, v in record.settings.items() if k not in (*SEEDS, *_PLACES)}
        identity = tuple(sorted((key, str(value)) for key, value in kept.items()))
        turn = 0
        while _seeds(record) in map(_seeds, getattr(rows.get((identity, turn)), "records", [])):
            turn += 1
        rows.setdefault((identity, turn), Row([])).records.append(record)
    return list(rows.values())


def _seeds(record: Record) -> tuple:
    return tuple(str(record.settings.get(key)) for key in SEEDS)


def _differing(rows: list[Row]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key in row.settings if key not in (*SEEDS, *_PLACES))
    nodes = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    keys = sorted(keys, key=lambda key: nodes.index(key.partition(".")[0]))
    return [key for key in keys if len({str(row.settings.get(key)) for row in rows}) > 1]


def _brought_along(key: str, rows: list[Row]) -> bool:
    """Whether the chosen model and dataset say what the value of `key` is, in all these rows."""
    if key.startswith("choices."):
        return False
    pairs = {
        (*(str(row.settings.get(f"choices.{group}")) for group in ("model", "dataset")), str(row.settings.get(key)))
        for row in rows
    }
    return key.endswith("_target_") or len({pair[:2] for pair in pairs}) == len(pairs)


def _agreed(several: Iterable[dict[str, str]]) -> dict[str, str]:
    """Directions that no two runs contradict, in the order of the first that names them."""
    ways: dict[str, set[str]] = {}
    for directions in several:
        for name, way in directions.items():
            ways.setdefault(name, set()).add(way)
    return {name: way.pop() for name, way in ways.items() if len(way) == 1}


def _unknown(metric: str, metrics: list[str]) -> str:
    if not metrics:
        return "no run has measured anything yet"
    metrics = [name for name in metrics if name.isprintable()]
    same = [name for name in metrics if name.partition("/")[2] == metric]
    return "no run has it; " + (f"did you mean {same[0]!r}?" if same else did_you_mean(metric, metrics))


def _settings(text: str) -> dict[str, Any]:
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise ValueError("aliases, of which a few lines make gigabytes")
    settings = dict(_flat(yaml.safe_load(text)))
    str(settings["model._target_"])  # every config of a run names its model
    return settings


def _flat(node: dict, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _state(text: str) -> dict[str, Any]:
    state = json.loads(text)
    alarms = len(state.get("alarms", []))
    rate = state.get("steps_per_second")
    return {
        "status": str(state["status"]) + (f" ({alarms} alarm{'s' * (alarms > 1)})" if alarms else ""),
        "step": int(float(state["step"])),
        "steps_per_second": None if rate is None else float(rate),
        "metrics": {name: float(value) for name, value in state["final"].items()},
    }


def _evaluation(text: str) -> tuple[dict[str, float], dict[str, str]]:
    """Values of `genlab evaluate` by name, and the direction of those that say theirs."""
    metrics = json.loads(text)["metrics"]
    values = {f"evaluation/{name}": float(entry["value"]) for name, entry in metrics.items()}
    ways = {f"evaluation/{name}": entry.get("best") for name, entry in metrics.items()}
    return values, {name: way for name, way in ways.items() if way in ("min", "max")}


def _curves(text: str) -> tuple[dict[str, list[tuple[int, float]]], bool]:
    """Curves by name, and whether the last line stops in its middle, as that of a run that goes on may."""
    *lines, rest = text.split("\n")
    curves: dict[str, dict[int, float]] = {}
    for row in map(json.loads, lines):
        for name, value in row.items():
            if name.startswith(("train/", "validation/")):
                curves.setdefault(name, {})[int(float(row["step"]))] = float(
                    value
                )  # a run that went back: the later one
    return {name: sorted(points.items()) for name, points in curves.items()}, bool(rest)


def _previews(folder: Path) -> dict[str, Path]:
    found = [(re.fullmatch(r"step_\d+-(.+)\.png", path.name), path) for path in sorted(folder.glob("step_*.png"))]
    return {match[1]: path for match, path in found if match}


def _natural(name: str) -> list:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
