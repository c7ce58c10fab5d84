"""Compare runs: in which settings they differ, and which is best."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from genlab.comparison.records import Record
from genlab.comparison.rows import SEEDS, Row
from genlab.comparison.same_data import DATA_SEED, different_data, moved_keys
from genlab.metrics.catalogue import COMPARABLE
from genlab.system.text import did_you_mean

_PROTOCOL = ("measured", *COMPARABLE)
_PLACES = ("data_dir", "output_dir")
_LOGGING = "logger."  # where a run was logged has no effect on it
_KEYS_IN_LABEL = 4
_LAST = True, 0.0


@dataclass
class Comparison:
    """Rows from best to worst by `metric` (None if no run has measured anything).

    differing: dotted keys whose values differ between runs, except seeds. keys: those that distinguish rows, without
    the ones determined by the choice of model and dataset. metrics: names, the sorting metric first, then those that
    most rows have. caution: why no run is the best, None if one can be. ways: see `_ways`.
    """

    rows: list[Row]
    differing: list[str]
    keys: list[str]
    metrics: list[str]
    metric: str | None
    descending: bool
    directions: dict[str, str]
    caution: str | None
    ways: dict[str, list[str]]

    @property
    def repeated(self) -> bool:
        """Whether any row combines several seeds."""
        return any(len(row.records) > 1 for row in self.rows)

    def best(self, metric: str) -> Row | None:
        """The row with the best mean of a metric; None if it has no known direction, if no mean is finite, if no two
        rows share it, or if the runs have different data."""
        if metric not in self.directions or self.caution or not self._shared(metric):
            return None
        first = min(self.rows, key=lambda row: _place(row, metric, self.directions[metric] == "max"))
        return None if _place(first, metric) == _LAST else first

    def _shared(self, metric: str) -> bool:
        return len(self.rows) == 1 or sum(row.estimate(metric) is not None for row in self.rows) > 1


def compare(records: list[Record], metric: str | None = None, direction: str | None = None) -> Comparison:
    """Group runs into rows and sort them by `metric`: by default the one most runs have, preferably one that ranks.

    direction: whether "min" or "max" of `metric` is better; None for what the runs recorded, else "min".
    `ValueError` if no run has the metric.
    """
    ways = _ways(records)
    records = _separated(records, ways)
    rows = _rows(records)
    directions = _agreed(record.directions for record in records)
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    if metric is not None and metric not in metrics:
        raise ValueError(f"metric={metric}: {_unknown(metric, metrics)}")
    if metric is None and metrics:
        ranked = [*(name for name in directions if name in metrics), *metrics]
        metric = max(ranked, key=lambda name: sum(name in record.metrics for record in records))
    if metric and direction:
        directions[metric] = direction
    descending = metric is not None and directions.get(metric) == "max"
    differing = _differing(rows)
    keys = [key for key in differing if not _determined(key, rows)]
    if metric:
        rows.sort(key=lambda row: _place(row, metric, descending))
    for row in rows:
        row.label = _label(row, keys) if len(rows) > 1 else row.name
    owners = {name: sum(row.estimate(name) is not None for row in rows) for name in metrics}
    names = sorted(metrics, key=lambda name: (name != metric, -owners[name]))
    return Comparison(rows, differing, keys, names, metric, descending, directions, _caution(rows), ways)


def _caution(rows: list[Row]) -> str | None:
    """Why no run is the best of all, None if one can be."""
    records = [record for row in rows for record in row.records]
    data = different_data([record.settings for record in records], [record.data for record in records])
    splits = [{record.data["sha256"] for record in row.records if "sha256" in record.data} for row in rows]
    if not data and any(one and other and not one & other for one, other in combinations(splits, 2)):
        data = "split by other seeds"
    return f"measured on different data ({data})" if data else None


def _place(row: Row, metric: str, descending: bool = False) -> tuple[bool, float]:
    """What sorts rows by the mean of a metric; `_LAST` without a finite one."""
    estimate = row.estimate(metric)
    if estimate is None or not math.isfinite(estimate.mean):
        return _LAST
    return False, -estimate.mean if descending else estimate.mean


def _ways(records: list[Record]) -> dict[str, list[str]]:
    """In which entries the protocols of a metric differ, by its name."""
    values: dict[str, dict[tuple[str, str], set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        for name, protocol in record.protocols.items():
            own = protocol.get("dataset") == record.settings.get("choices.dataset")
            for key in _PROTOCOL:  # repeats may split their own data by other seeds, which changes the hash
                seed = str(record.settings.get(DATA_SEED)) if own and key == "data_sha256" else ""
                values[name][key, seed].add(protocol.get(key))
    return {
        name: list(dict.fromkeys(key for (key, _), several in found.items() if len(several) > 1))
        for name, found in values.items()
    }


def _separated(records: list[Record], ways: dict[str, list[str]]) -> list[Record]:
    """Append the protocol to the names of metrics that were measured in different ways, to keep them apart."""

    def renamed(record: Record, name: str) -> str:
        own = record.protocols.get(name)
        told = "" if own is None else ", ".join(f"{key}={own.get(key, '-')[:12]}" for key in ways[name])
        return f"{name} [{told}]" if told else name

    return [
        replace(
            record,
            metrics={renamed(record, name): value for name, value in record.metrics.items()},
            directions={renamed(record, name): direction for name, direction in record.directions.items()},
        )
        for record in records
    ]


def _label(row: Row, keys: list[str]) -> str:
    """The settings that distinguish a row from the others; the name of its run if there are too many."""
    values = {key: str(row.settings[key]) for key in keys if row.settings.get(key) is not None}
    choices = [value for key, value in values.items() if key.startswith("choices.")]
    others = [f"{key.rpartition('.')[2]} {value}" for key, value in values.items() if not key.startswith("choices.")]
    if len(keys) > _KEYS_IN_LABEL:
        return ", ".join([*(choice for choice in choices if choice not in row.name), row.name])
    return ", ".join([*choices, *others]) or row.name


def _rows(records: list[Record]) -> list[Row]:
    """Group repeats into rows. A second run with the same seeds is not a repeat and starts another row."""
    ignored = _ignored(records)
    rows: dict[tuple, Row] = {}
    repeats: Counter[tuple] = Counter()
    for record in records:
        kept = sorted((key, str(value)) for key, value in record.settings.items() if key not in ignored)
        seeds = [str(record.settings.get(key)) for key in SEEDS]
        repeats[*kept, *seeds] += 1
        rows.setdefault((*kept, repeats[*kept, *seeds]), Row([])).records.append(record)
    return list(rows.values())


def _ignored(records: list[Record]) -> set[str]:
    """Settings in which repeats of a run may differ."""
    moved = moved_keys([record.settings for record in records], [record.data for record in records])
    logging = {key for record in records for key in record.settings if key.startswith(_LOGGING)}
    return {*SEEDS, *_PLACES, *moved, *logging}


def _differing(rows: list[Row]) -> list[str]:
    ignored = _ignored([record for row in rows for record in row.records])
    keys = dict.fromkeys(key for row in rows for key in row.settings if key not in ignored)
    nodes = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    ordered = sorted(keys, key=lambda key: nodes.index(key.partition(".")[0]))
    return [key for key in ordered if len({str(row.settings.get(key)) for row in rows}) > 1]


def _determined(key: str, rows: list[Row]) -> bool:
    """Whether the model and the dataset determine the value of `key`, in all these rows."""
    if key.startswith("choices."):
        return False
    pairs = {
        (*(str(row.settings.get(f"choices.{group}")) for group in ("model", "dataset")), str(row.settings.get(key)))
        for row in rows
    }
    return key.endswith("_target_") or len({pair[:2] for pair in pairs}) == len(pairs)


def _agreed(several: Iterable[dict[str, str]]) -> dict[str, str]:
    """Directions that no two runs contradict, in order of first appearance."""
    found: dict[str, set[str]] = {}
    for directions in several:
        for name, direction in directions.items():
            found.setdefault(name, set()).add(direction)
    return {name: named.pop() for name, named in found.items() if len(named) == 1}


def _unknown(metric: str, metrics: list[str]) -> str:
    if not metrics:
        return "no run has measured anything yet"
    metrics = [name for name in metrics if name.isprintable()]
    if ways := [name for name in metrics if name.startswith(f"{metric} [")]:
        listed = ", ".join(way.removeprefix(metric).strip() for way in ways)
        return f"measured in ways that are not compared: {listed}; name one, as in 'metric=\"{ways[0]}\"'"
    same = [name for name in metrics if name.partition("/")[2] == metric]
    measures = "genlab evaluate measures it; " if metric.startswith("evaluation/") else ""
    return f"no run has it; {measures}" + (f"did you mean {same[0]!r}?" if same else did_you_mean(metric, metrics))
