"""Sweeps that are killed and started again, and sweeps some of whose jobs fail."""

import csv
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from faults.laboratory import Laboratory, differences
from faults.launch import Child
from faults.report import Row

JOBS = 12
_KILLS = 3
_LAUNCHERS = {"basic": [], "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]}


def campaign(laboratory: Laboratory, seed: int) -> list[Row]:
    chance, rows = random.Random(seed), []
    for launcher, settings in _LAUNCHERS.items():
        arguments = [*_grid(laboratory, "seed=0,1,2", "optimizer.lr=1e-3,2e-3,3e-3,4e-3"), *settings]
        whole = laboratory.work / f"whole-{launcher}"
        child = _start(arguments, whole)
        assert child.wait() == 0, child.printed[-2000:]
        seconds = time.monotonic() - child.begin
        for number in (SIGKILL, SIGTERM):
            row = Row("sweeps", f"{_KILLS} {Signals(number).name} to the group, {launcher}")
            folder = laboratory.work / f"{launcher}-{Signals(number).name}"
            row.add(folder.name, broken(arguments, whole, folder, number, chance, seconds))
            rows.append(row)
        row = Row("sweeps", f"2 of {JOBS} jobs fail, {launcher}")
        failing = [
            *_grid(laboratory, "seed=0,1", "optimizer.lr=1e-5,2e-5,3e-5,4e-5,5e-5,1e18"),
            "optimizer=sgd",
            *settings,
        ]
        row.add("", failed(failing, laboratory.work / f"failing-{launcher}"))
        rows.append(row)
    return rows


def broken(
    arguments: list[str], whole: Path, folder: Path, number: Signals, chance: random.Random, seconds: float
) -> Iterator[str]:
    """A sweep that is ended at random moments and started again is the unbroken one, and does nothing twice."""
    done: dict[Path, int] = {}
    for turn in range(_KILLS):
        begun = (folder / "sweep.json").exists()  # else the signal came before there was anything to resume
        child = _resume(arguments, folder) if begun else _start(arguments, folder)
        if child.wait(chance.uniform(0.2, 0.4) * seconds) is not None:
            yield f"had ended before signal {turn + 1}"
        child.send(number)
        code = child.wait()
        if number == SIGTERM and (code != 128 + number or "Traceback" in child.printed):
            yield f"exits with {code}: {child.printed[-500:]}"
        done |= {path: path.stat().st_mtime_ns for path in folder.glob("*/status.json") if _word(path) == "finished"}
    child = _resume(arguments, folder)
    if (code := child.wait()) != 0:
        yield f"exits with {code} in the end: {child.printed[-1000:]}"
        return
    for path, written in done.items():
        if path.stat().st_mtime_ns != written:
            yield f"{path}: a finished job was touched again"
    for job in range(JOBS):
        yield from differences(whole / str(job), folder / str(job))


def failed(arguments: list[str], folder: Path) -> Iterator[str]:
    """A sweep two of whose jobs must fail finishes the others, and names exactly these."""
    child = _start(arguments, folder)
    if (code := child.wait()) != 1:
        yield f"exits with {code}: {child.printed[-500:]}"
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = {row["job"] for row in rows if float(row["optimizer.lr"]) == 1e18}
    for row in rows:
        if row["state"] != ("failed" if row["job"] in wrong else "finished"):
            yield f"job {row['job']} is {row['state']}"
    named = set(re.findall(r"^failed     job (\d+) ", child.printed, re.M))
    if named != wrong or len(wrong) != 2:
        yield f"names {sorted(named)}, not {sorted(wrong)}"
    if f"{JOBS - 2} of {JOBS} jobs finished, 2 failed" not in child.printed:
        yield f"does not say so: {child.printed[-500:]}"
    for job in wrong:
        if "Traceback" not in (folder / job / "train.log").read_text():
            yield f"job {job} kept no traceback"


def _grid(laboratory: Laboratory, *varied: str) -> list[str]:
    recipe = laboratory.recipe("vae", "plain", steps=150)
    return ["train", "-m", *recipe.settings, *varied]


def _start(arguments: list[str], folder: Path) -> Child:
    return Child([*arguments, f"hydra.sweep.dir={folder}"], Laboratory.log(folder), real=True)


def _resume(arguments: list[str], folder: Path) -> Child:
    places = [line for line in arguments if line.startswith("data_dir=")]  # nobody's file decides on them
    return Child(["resume", f"run={folder}", *places], Laboratory.log(folder), real=True)


def _word(path: Path) -> str:
    return json.loads(path.read_text())["status"]
