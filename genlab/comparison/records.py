"""What the folders of runs say: settings, state, final metrics, curves and pictures.

Reads YAML and JSON alone. What a folder holds may come from anybody: nothing in it is run, and a folder that cannot be
read is left out with a line that says why.
"""

import ast
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab.config.paths import code_folder
from genlab.config.untrusted_files import Unreadable, read_json, read_yaml, small_lines
from genlab.training.lock import read_status

_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)

_CURVES, _LETTERS, _POINTS = 500, 200, 4000
"""Curves that a run may have, letters of the name of one, points of one that are kept."""

_PROTOCOL = ("dataset", "split", "weights", "num_samples", "extractor", "extractor_sha256", "draws", "pictures")
"""What numbers of one name must have in common to be compared; steps and seeds differ between runs as they may."""


@dataclass
class Record:
    """What one run's folder says.

    settings: its config by dotted key; metrics: final values by name; curves: by name, (step, value) in the order of
    steps; directions: "min" or "max" for metrics that rank, the first ranks its model; previews: the last PNG of each
    kind; notes: a line for each part of the folder that could not be used; protocols: by metric, how it was measured.
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

    def part(file: str, load: Callable[[Path], Any], read: Callable[[Any], Any]):
        try:
            return read(load(folder / file))
        except Unreadable:
            raise
        except _DAMAGE as error:
            raise ValueError(f"{folder}: its {file} is damaged or of another version") from error

    settings = part("config.yaml", read_yaml, _settings)
    state = part("status.json", lambda path: read_status(path.parent), _state)
    logged = (folder / "metrics.jsonl").exists()
    curves, unfinished = part("metrics.jsonl", small_lines, _curves) if logged else ({}, False)
    notes = [f"{folder}: the last line of its metrics.jsonl is unfinished and not shown"] if unfinished else []
    directions = {f"validation/{metric}": way for metric, way in ranking(settings["model._target_"]).items()}
    evaluated = (folder / "evaluation.json").exists()
    measured, ways, protocols = part("evaluation.json", read_json, _evaluation) if evaluated else ({}, {}, {})
    in_training = {name: {"measured": "in training"} for name in state["metrics"] if name.startswith("evaluation/")}
    protocols = in_training | protocols
    state["metrics"] |= measured
    return Record(folder, name, settings, **state, curves=curves, directions=directions | ways,
                  previews=_previews(folder / "previews"), notes=notes, protocols=protocols)  # fmt: skip


def ranking(target: str) -> dict[str, str]:
    """`metrics` of the model class that `target` names: "min" or "max" by name. Empty where that is not GenLab's.

    Taken from the source text: importing a model would run code, and cost the seconds that torch takes.
    """
    module, _, name = str(target).rpartition(".")
    if not re.fullmatch(r"genlab\.models\.\w+", module):
        return {}
    path = code_folder().joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
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


def _settings(config: dict) -> dict[str, Any]:
    settings = dict(_flat(config))
    str(settings["model._target_"])  # every config of a run names its model
    return settings


def _flat(node: dict, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _state(state: dict) -> dict[str, Any]:
    alarms = len(state.get("alarms", []))
    rate = state.get("steps_per_second")
    return {
        "status": str(state["status"]) + (f" ({alarms} alarm{'s' * (alarms > 1)})" if alarms else ""),
        "step": int(float(state["step"])),
        "steps_per_second": None if rate is None else float(rate),
        "metrics": {name: float(value) for name, value in state["final"].items()},
    }


def _evaluation(written: dict) -> tuple[dict[str, float], dict[str, str], dict[str, dict[str, str]]]:
    """Values of `genlab evaluate` by name, the direction of those that say theirs, and how each was measured."""
    entries = {f"evaluation/{name}": entry for name, entry in written["metrics"].items()}
    entries = {name: entry for name, entry in entries.items() if entry["value"] is not None}
    values = {name: float(entry["value"]) for name, entry in entries.items()}
    ways = {name: entry.get("best") for name, entry in entries.items()}
    protocols = {
        name: {key: str(value) for key, value in entry.get("protocol", {}).items() if key in _PROTOCOL}
        for name, entry in entries.items()
    }
    return values, {name: way for name, way in ways.items() if way in ("min", "max")}, protocols


def _curves(lines: Iterator[bytes]) -> tuple[dict[str, list[tuple[int, float]]], bool]:
    """Curves by name, and whether the last line stops in its middle, as that of a run that goes on may.

    Of a curve that grows longer than any page is wide, every other point is forgotten.
    """
    curves: dict[str, dict[int, float]] = {}
    unfinished = False
    for line in lines:
        if unfinished := not line.endswith(b"\n"):
            break
        row = json.loads(line)
        step = int(float(row["step"]))
        if "rollback" in row:  # what lies behind was given up
            curves = {name: {at: y for at, y in points.items() if at <= step} for name, points in curves.items()}
        for name, value in row.items():
            if name.startswith(("train/", "validation/", "evaluation/", "watch/")):
                points = curves.setdefault(name, {})
                points[step] = float(value)
                if len(points) > _POINTS:
                    curves[name] = dict(list(points.items())[::2])
                if len(curves) > _CURVES or len(name) > _LETTERS:
                    raise ValueError(f"more than {_CURVES} curves, or a name of more than {_LETTERS} letters")
    return {name: sorted(points.items()) for name, points in curves.items()}, unfinished


def _previews(folder: Path) -> dict[str, Path]:
    found = [(re.fullmatch(r"step_\d+-(.+)\.png", path.name), path) for path in sorted(folder.glob("step_*.png"))]
    return {match[1]: path for match, path in found if match}


def _natural(name: str) -> list:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
