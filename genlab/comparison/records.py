"""Read run folders: settings, state, final metrics, curves and images.

Reads only YAML and JSON. A folder may come from an untrusted source: nothing in it is executed. A folder that cannot
be read is left out, and one line says why.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import read_status
from genlab.contract.settings import flattened
from genlab.metrics.catalogue import COMPARABLE, ranking
from genlab.system.small_files import Unreadable, read_json, read_yaml, small_lines
from genlab.system.text import natural_order

log = logging.getLogger("genlab")

_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)

_CURVES, _LETTERS, _POINTS = 500, 200, 4000


@dataclass
class Record:
    """The content of one run folder.

    settings: its config by dotted key. metrics: final values by name. curves: by name, (step, value) in order of steps.
    directions: "min" or "max" of the metrics that rank; the first ranks its model. previews: the last PNG of each kind.
    notes: one line for each part of the folder that could not be used. protocols: by metric, how it was measured.
    data: number and hash of the training examples, if they are on record.
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
    protocols: dict[str, dict[str, str]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)


def find_runs(places: Iterable[str | Path]) -> list[Path]:
    """Run folders: `places` themselves, or at any depth below them. `ValueError` if a place is not a folder."""
    found: dict[Path, Path] = {}
    for place in map(Path, places):
        if not place.is_dir():
            raise ValueError(f"runs={place}: no such folder")
        for folder, below, files in os.walk(place, onerror=_tell):
            run = RunFolder(Path(folder))
            begun = {run.status.name, run.metrics.name} & {*files} or run.checkpoints.name in below
            if run.config.name in files and begun:
                found.setdefault(Path(folder).resolve(), Path(folder))
                below.clear()
            below[:] = natural_order([name for name in below if not name.startswith(".")])
    return list(found.values())


def _tell(error: OSError) -> None:
    log.warning("left out: %s cannot be listed (%s)", error.filename, error.strerror)


def collect(folders: list[Path]) -> tuple[list[Record], list[str]]:
    """The runs that can be read, and one line for each problem."""
    records, problems = [], []
    for folder, name in zip(folders, short_names(folders), strict=True):
        try:
            records.append(read_run(folder, name))
            problems += records[-1].notes
        except ValueError as error:
            problems.append(f"{error}; this run is left out")
    return records, problems


def short_names(folders: list[Path]) -> list[str]:
    """Paths of the runs relative to their common folder."""
    if len(folders) == 1:
        return [folders[0].resolve().name]
    common = os.path.commonpath([folder.resolve() for folder in folders]) if folders else ""
    return [str(folder.resolve().relative_to(common)) for folder in folders]


def read_run(folder: Path, name: str) -> Record:
    """Read one run folder. `ValueError` with one line if it cannot be read."""

    def part(file: Path, load: Callable[[Path], Any], read: Callable[[Any], Any]) -> Any:
        try:
            return read(load(file))
        except Unreadable:
            raise
        except _DAMAGE as error:
            raise ValueError(f"{folder}: its {file.name} is damaged or of another version") from error

    files = RunFolder(folder)
    settings = part(files.config, read_yaml, _settings)
    state = part(files.status, lambda _: read_status(files), lambda status: _state(status, folder))
    logged = files.metrics.exists()
    curves, unfinished = part(files.metrics, small_lines, _curves) if logged else ({}, False)
    notes = [f"{folder}: the last line of its metrics.jsonl is unfinished and not shown"] if unfinished else []
    evaluated = files.evaluation.exists()
    averages = settings.get("trainer.ema") is not None
    read = partial(_evaluation, averages=averages)
    measured, directions, protocols = part(files.evaluation, read_json, read) if evaluated else ({}, {}, {})
    data = part(files.environment, read_json, _data) if files.environment.exists() else {}
    in_training = {name: {"measured": "in training"} for name in state["metrics"] if name.startswith("evaluation/")}
    state["metrics"] |= measured
    state["directions"] |= directions
    return Record(folder, name, settings, **state, curves=curves, previews=_previews(files.previews), notes=notes,
                  protocols=in_training | protocols, data=data)  # fmt: skip


def _settings(config: dict) -> dict[str, Any]:
    settings = dict(flattened(config))
    str(settings["model._target_"])  # every run's config names its model
    return settings


def _state(state: dict, folder: Path) -> dict[str, Any]:
    if "directions" not in state:
        advice = "compare it with that version, or train it again"
        raise Unreadable(f"{folder}: was made by an earlier version of GenLab; {advice}")
    alarms = len(state.get("alarms", []))
    rate = state.get("steps_per_second")
    return {
        "status": str(state["status"]) + (f" ({alarms} alarm{'s' * (alarms > 1)})" if alarms else ""),
        "step": int(float(state["step"])),
        "steps_per_second": None if rate is None else float(rate),
        "metrics": {name: float(value) for name, value in state["final"].items() if value is not None},
        "directions": ranking(state["directions"]),
    }


def _data(environment: dict) -> dict[str, str]:
    return {name: str(value) for name, value in environment.get("data", {}).items()}


def _evaluation(written: dict, averages: bool) -> tuple[dict[str, float], dict[str, str], dict[str, dict[str, str]]]:
    """From the file of `genlab evaluate`: values by name, their directions if known, and how each was measured.

    averages: whether the run keeps averaged weights.
    """
    entries = {f"evaluation/{name}": entry for name, entry in written["metrics"].items()}
    entries = {name: entry for name, entry in entries.items() if entry["value"] is not None}
    values = {name: float(entry["value"]) for name, entry in entries.items()}
    directions = {name: entry.get("direction") for name, entry in entries.items()}
    protocols = {
        name: {
            key: str(value)
            for key, value in entry.get("protocol", {}).items()
            if key in COMPARABLE and not _of_the_model(key, value, averages)
        }
        for name, entry in entries.items()
    }
    return values, ranking(directions), protocols


def _of_the_model(key: str, value: Any, averages: bool) -> bool:
    """Whether a protocol's entry only says what kind of model was measured: one that keeps averaged weights or not, and
    samples all classes in turn or knows none. Such models can be compared."""
    if key == "weights":
        return value == "averaged" or not averages
    return key == "condition" and isinstance(value, dict) and {*value.values()} == {"in turn"}


def _curves(lines: Iterator[bytes]) -> tuple[dict[str, list[tuple[int, float]]], bool]:
    """Curves by name, and whether the last line is incomplete, as it may be while a run is training.

    A curve longer than `_POINTS` is thinned: every other point is dropped.
    """
    curves: dict[str, dict[int, float]] = {}
    unfinished = False
    for line in lines:
        if unfinished := not line.endswith(b"\n"):
            break
        row = json.loads(line)
        step = int(float(row["step"]))
        if "rollback" in row:  # later points were discarded
            curves = {name: {at: y for at, y in points.items() if at <= step} for name, points in curves.items()}
        for name, value in row.items():
            if len(curves) > _CURVES or len(name) > _LETTERS:
                raise ValueError(f"more than {_CURVES} curves, or a name of more than {_LETTERS} letters")
            if name.startswith(("train/", "validation/", "evaluation/", "watch/")) and value is not None:
                points = curves.setdefault(name, {})
                points[step] = float(value)
                if len(points) > _POINTS:
                    curves[name] = dict(list(points.items())[::2])
    return {name: sorted(points.items()) for name, points in curves.items()}, unfinished


def _previews(folder: Path) -> dict[str, Path]:
    found = [(re.fullmatch(r"step_\d+-(.+)\.png", path.name), path) for path in sorted(folder.glob("step_*.png"))]
    return {match[1]: path for match, path in found if match}
