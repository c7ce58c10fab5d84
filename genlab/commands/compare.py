"""`genlab compare`: runs side by side, as a table, a CSV file and an HTML page. Reads only text, without torch."""

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from genlab.commands.lines import command_line
from genlab.comparison.comparison import Comparison, compare
from genlab.comparison.records import collect, find_runs
from genlab.comparison.rows import SEEDS
from genlab.config.commands import CompareConfig
from genlab.system.files import write_csv
from genlab.system.text import columns_of, printable, shortened

_WIDTH = 120  # columns at most, and where the output is no terminal
_WIDEST = 34


def main(config: CompareConfig) -> None:
    from genlab.comparison.page import page  # imports Jinja2, which `show` does not need

    places = _places(config.runs)
    records, problems = collect(find_runs(places))
    if not records:
        found = "no run there can be read" if problems else "no run there; train one with: genlab train"
        raise ValueError("\n".join([f"runs={', '.join(places)}: {found}", *map(printable, problems)]))
    comparison = compare(records, config.metric, config.direction)
    common = places[0] if len(places) == 1 else os.path.commonpath([record.folder.resolve() for record in records])
    output = Path(config.output or common)
    try:
        output.mkdir(parents=True, exist_ok=True)
        text = page(comparison, str(output))
        (output / "comparison.html").write_text(text, encoding="utf-8", errors="backslashreplace")
        _write_csv(comparison, output / "comparison.csv")
    except OSError as error:
        raise ValueError(
            f"output={output}: cannot be written ({error.strerror}); name another folder: output=FOLDER"
        ) from error
    for problem in problems:
        print(f"genlab: {printable(problem)}", file=sys.stderr)
    show(comparison)
    print(f"table      {output}/comparison.csv\npage       {output}/comparison.html")
    best = comparison.rows[0].best_record(comparison.metric, comparison.descending)
    print(f"next       {command_line('info', run=best.folder)}")  # which says what its model can do


def _places(runs: Any) -> list[str]:
    """The folders in `runs`. A sweep's job folder may be called 0, which is parsed as an integer."""
    listed = runs if isinstance(runs, list) else [runs]
    if not listed or not all(isinstance(place, (str, int)) and not isinstance(place, bool) for place in listed):
        raise ValueError(f"runs={runs}: must be a folder or a list of folders, as in runs=[outputs/a,outputs/b]")
    return [str(place) for place in listed]


def _write_csv(comparison: Comparison, path: Path) -> None:
    """One line per run, in the order of the table."""
    keys = [*SEEDS, *comparison.differing]
    heading = ["row", "run", "folder", "status", "step", "steps_per_second", *keys, *comparison.metrics]
    lines: list[list[Any]] = [heading]
    for number, row in enumerate(comparison.rows, 1):
        for record in row.records:
            about = [number, record.name, record.folder, record.status, record.step, record.steps_per_second]
            settings = [record.settings.get(key) for key in keys]
            lines.append([*about, *settings, *(record.metrics.get(name) for name in comparison.metrics)])
    write_csv(path, lines)


def show(comparison: Comparison, most: int | None = None) -> None:
    """Print the table: one line per row, as many columns as fit, and at most `most` rows."""
    columns, left_out = _fitting(_columns(comparison))
    widths = [max(map(len, column)) for column in columns]
    lines = list(zip(*columns, strict=True))
    shown = lines[: None if most is None else most + 1]
    for line in shown:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if len(shown) < len(lines):
        print(f"... and {len(lines) - len(shown)} more")
    print()
    if left_out:
        text = f"not shown  {', '.join(left_out)} (all are in the files)"
        print(textwrap.fill(text, _width(), subsequent_indent=11 * " ", break_on_hyphens=False))
    if comparison.caution:
        print(f"caution    no run is the best: {shortened(comparison.caution, _width() - 31)}")
    if ways := dict.fromkeys(way for several in comparison.ways.values() for way in several):
        print(f"caution    values that differ in {', '.join(ways)} are not compared")
    if comparison.metric is None:
        print("sorted     not at all: no run has measured anything yet")
        return
    known = comparison.metric in comparison.directions
    order = "descending" if comparison.descending else "ascending"
    hint = "" if known else "; neither is known to be better, direction=max or min says which is"
    print(f"sorted     by {printable(comparison.metric)}, {order}{hint}")


def _width() -> int:
    return min(_WIDTH, columns_of(sys.stdout) or _WIDTH)


def _columns(comparison: Comparison) -> list[tuple[int, list[str]]]:
    """Columns from left to right: rank (0 is always shown, higher is dropped sooner), and cells, heading first."""
    rows = comparison.rows
    finished = all(row.status == "finished" for row in rows)
    columns = [(0, ["run", *(row.name for row in rows)])]
    if comparison.repeated:
        columns.append((2, ["seeds", *(str(len(row.records)) for row in rows)]))
    for place, key in enumerate(comparison.keys):
        cells = ["" if (value := row.settings.get(key)) is None else str(value) for row in rows]
        rank = 3 if key.startswith("choices.") else 10 + 2 * place
        columns.append((rank, [key.removeprefix("choices."), *cells]))
    for place, metric in enumerate(comparison.metrics):
        estimates = (row.estimate(metric) for row in rows)
        cells = ["-" if estimate is None else str(estimate) for estimate in estimates]
        columns.append((11 + 2 * place if place else 0, [metric, *cells]))
    columns.append((1001, ["steps", *(row.steps for row in rows)]))
    columns.append((1002, ["steps/s", *("" if row.speed is None else f"{row.speed:.3g}" for row in rows)]))
    columns.append((1003 if finished else 1, ["status", *(row.status for row in rows)]))
    return [(rank, [shortened(cell, _WIDEST) for cell in cells]) for rank, cells in columns]


def _fitting(columns: list[tuple[int, list[str]]]) -> tuple[list[list[str]], list[str]]:
    """The columns that fit into one line, lowest ranks first, and the headings of the others."""
    kept, room = set(), _width() + 2
    for number, (rank, cells) in sorted(enumerate(columns), key=lambda column: column[1][0]):
        width = max(map(len, cells)) + 2
        if rank == 0 or width <= room:
            kept.add(number)
            room -= width
    shown = [cells for number, (_, cells) in enumerate(columns) if number in kept]
    return shown, [cells[0] for number, (_, cells) in enumerate(columns) if number not in kept]
