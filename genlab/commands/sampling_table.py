"""`genlab evaluate sampling.steps=[10,20,50]`: the quality of samples for every combination of sampling options."""

import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from genlab.commands.lines import command_line
from genlab.commands.results import results, same
from genlab.config.commands import EvaluateConfig
from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import evaluate
from genlab.inference.run import Run
from genlab.metrics.catalogue import known
from genlab.system.files import write_csv
from genlab.system.portions import networks
from genlab.system.small_files import json_text
from genlab.system.text import columns_of, rounded

log = logging.getLogger("genlab")

_USUAL = ("frechet", "manifold", "classes", "wasserstein", "modes")

_FIRST = ("frechet_distance", "coverage", "agreement", "wasserstein", "high_quality", "modes_covered")
"""Values that come first."""


def wanted(config: EvaluateConfig) -> bool:
    """Whether any sampling option is a list."""
    return any(isinstance(value, list) for value in config.sampling.values())


def show_table(run: Run, config: EvaluateConfig, context: EvaluationContext) -> None:
    """Measure every combination, print a line for each, and write table.csv and table.json."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in config.sampling.items()}
    combinations = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    if not combinations:
        raise ValueError("sampling: a list is empty; give values, as in sampling.steps=[10,20]")
    for sampling in combinations:
        run.conditioning.check_sampling(sampling)
    context.settings = replace(context.settings, sampling=combinations[0])
    names, context.progress = _chosen(run, context, config.metrics), False
    rows: list[dict[str, Any]] = []
    with results(run, "evaluations", config, "sampling", seed=config.seed) as (new, path):
        for number, sampling in enumerate(combinations, 1):
            context.settings = replace(context.settings, sampling=sampling)
            told = " ".join(f"{name}={value}" for name, value in sampling.items())
            log.info("%-10s %s", f"{number}/{len(combinations)}", told)
            with _counting(run.model) as counted:
                entries = evaluate(run, context, names, config.seed)
            calls = round(sum(counted) / (config.num_samples * config.repeats))
            values = {name: entry["value"] for name, entry in entries.items()}
            rows.append({**sampling, "network_calls": calls, **values, "entries": entries})
        own_columns = [*lists, "network_calls"]
        columns = own_columns + sorted(values, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
        write_csv(new / "table.csv", [tuple(columns), *(tuple(row[name] for name in columns) for row in rows)])
        (new / "table.json").write_text(json_text([row["entries"] for row in rows], indent=2) + "\n")
    for line in _lines(columns, rows, columns_of(sys.stdout) or 120):
        print(line)
    print(f"table      {path}/table.csv\nprotocol   {path}/table.json")
    best = _best(rows, columns[len(own_columns)])
    options = {f"sampling.{name}": best[name] for name in lists}
    print(f"next       {command_line('sample', run=same(run, config, 'sample')['run'], **options)}")


def _best(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The row with the best value, or the first one if none is measured."""
    measured = [row for row in rows if row[name] is not None]
    highest = rows[0]["entries"][name]["direction"] == "max"
    return (max if highest else min)(measured, key=lambda row: row[name]) if measured else rows[0]


def _chosen(run: Run, context: EvaluationContext, asked: Sequence[str] | None) -> list[str]:
    usual = [name for name in choose(run, context, None) if name in _USUAL] if asked is None else None
    names = asked if usual is None else usual
    names = choose(run, context, names)
    if other := [name for name in names if known(names)[name].group != "samples"]:
        raise ValueError(f"metrics={other[0]}: does not depend on how samples are drawn; leave it out")
    return names


@contextmanager
def _counting(model: nn.Module) -> Iterator[list[int]]:
    """Collects the rows of every call of a network of the model inside the block."""
    counted: list[int] = []

    def count(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        counted.append(next((len(value) for value in arguments if isinstance(value, Tensor) and value.ndim), 0))

    handles = [network.register_forward_pre_hook(count) for network in networks(model)]
    try:
        yield counted
    finally:
        for handle in handles:
            handle.remove()


def _lines(columns: Sequence[str], rows: Sequence[dict[str, Any]], width: int) -> Iterator[str]:
    """A table with as many columns as fit; the last ones are left out first."""
    cells = [[name.replace("_", " ") for name in columns], *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    fitting = sum(end + 2 * number <= width for number, end in enumerate(itertools.accumulate(widths)))
    for line in cells:
        yield "  ".join(f"{cell:>{wide}}" for cell, wide in list(zip(line, widths, strict=True))[:fitting])


def _cell(value: Any) -> str:
    return rounded(value, 4) if isinstance(value, float) else "-" if value is None else str(value)
