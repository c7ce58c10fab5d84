"""Rows of a comparison: runs that differ only in their seed, with mean and standard deviation of each metric."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

from genlab.comparison.records import Record
from genlab.system.text import rounded

SEEDS = ("seed", "dataset.seed")
"""Settings that may differ between repeats of the same run."""

_LARGE = 1e100  # squares of larger values overflow


@dataclass
class Estimate:
    """Mean and sample standard deviation (None for a single value) over `count` runs."""

    mean: float
    std: float | None
    count: int

    def __str__(self) -> str:
        if self.std is None:
            return rounded(self.mean, 4)
        if not 0 < self.std < math.inf:
            return f"{rounded(self.mean, 4)} ± {self.std:.2g}"
        decimals = max(0, 1 - math.floor(math.log10(self.std)))  # two significant digits of the std
        style = f".{decimals}f" if decimals <= 6 and abs(self.mean) < 1e6 else ".4g"
        return f"{self.mean:{style}} ± {self.std:{style}}"


@dataclass
class Row:
    """Runs that differ only in their seed. settings: of the first run."""

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
        """Mean steps per second of the runs that report it."""
        rates = [record.steps_per_second for record in self.records if record.steps_per_second is not None]
        return statistics.fmean(rates) if rates else None

    def best_record(self, metric: str | None, descending: bool) -> Record:
        """The run with the smallest value of the metric, or the largest if `descending`; the first if none has one."""
        name = metric or ""
        found = [record for record in self.records if math.isfinite(record.metrics.get(name, math.nan))]
        return (max if descending else min)(found or self.records[:1], key=lambda record: record.metrics.get(name, 0))

    def estimate(self, metric: str) -> Estimate | None:
        """The metric over the runs that have it; None if none has."""
        values = [record.metrics[metric] for record in self.records if metric in record.metrics]
        if not values:
            return None
        std = None
        if len(values) > 1:
            std = statistics.stdev(values) if all(abs(value) < _LARGE for value in values) else math.nan
        return Estimate(sum(values) / len(values), std, len(values))
