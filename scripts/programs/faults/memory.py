"""A long run with all logging on: neither its memory nor its open files may grow."""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.laboratory import MODELS, Laboratory, train
from faults.launch import Child
from faults.report import Row

LIMIT = 0.02
"""Share by which memory may differ between the two places of a run that are compared."""


@dataclass
class Samples:
    """What was seen of a run around one of its steps: KiB of memory, open files, bytes of logs.

    memory: resident; own: the part of it that is no mapped file, and so holds what Python and torch allocate.
    """

    memory: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    logs: int = 0


def campaign(laboratory: Laboratory, steps: int = 100_000) -> list[Row]:
    """Compare step `steps` / 10 with step `steps`, and the logs at both."""
    recipe = laboratory.recipe(
        MODELS[-1],
        "averaged weights",
        steps=steps + steps // 100,  # what a run does at its end is no part of what is compared
        checkpoint_every=1000,
        validate_every=1000,
        preview_every=1000,
        log_every=50,
        every=1000,
    )
    folder = laboratory.work / "memory"
    child = Child(train(recipe, folder), Laboratory.log(folder), real=True)
    begin = time.monotonic()
    try:
        early, late = (_samples(child, folder, step, step + steps // 100) for step in (steps // 10, steps))
        code = child.wait()
    finally:
        child.kill()
    seconds = time.monotonic() - begin
    rows = [Row("memory", name) for name in ("resident memory", "open files", "logs")]
    rows[0].add("", _ended_badly(child, code, early, late) or _grown(early.memory, late.memory))
    rows[1].add("", _more_files(early.files, late.files))
    rows[2].add("", [] if late.logs <= 11 * early.logs else ["they grow faster than the steps"])
    resident = [_mebibytes(samples) for samples in (early.memory, late.memory)]
    own = [_mebibytes(samples) for samples in (early.own, late.own)]
    files = [statistics.median_low(samples.files or [0]) for samples in (early, late)]
    places = f"at step {steps // 10:,} and {steps:,}"
    rows[
        0
    ].remarks = f"{' and '.join(resident)} MiB {places}, {' and '.join(own)} of them anonymous; {seconds:.0f} s in all"
    rows[1].remarks = f"{files[0]} and {files[1]}"
    rows[2].remarks = f"{early.logs / 2**20:.1f} and {late.logs / 2**20:.1f} MiB"
    return rows


def _samples(child: Child, folder: Path, first: int, last: int) -> Samples:
    """Look at the process from step `first` to `last`."""
    samples = Samples()
    process = Path(f"/proc/{child.process.pid}")
    while child.wait(0.05) is None and (step := _step(folder)) < last:
        if step >= first:
            lines = dict(line.split(":") for line in (process / "status").read_text().splitlines())
            samples.memory.append(int(lines["VmRSS"].split()[0]))
            samples.own.append(int(lines["RssAnon"].split()[0]))
            samples.files.append(len(list((process / "fd").iterdir())))
            samples.logs = samples.logs or _logs(folder)
    return samples


def _step(folder: Path) -> int:
    """The step of the last whole row of metrics."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 4096, 0))
        lines = [line for line in file.read().splitlines(keepends=True)[1:] if line.endswith(b"\n")]
    return json.loads(lines[-1])["step"] if lines else 0


def _logs(folder: Path) -> int:
    names = ("metrics.jsonl", "train.log", "status.json", "events*")
    return sum(path.stat().st_size for name in names for path in folder.glob(name))


def _ended_badly(child: Child, code: int | None, early: Samples, late: Samples) -> list[str]:
    if code != 0:
        return [f"exits with {code}: {child.printed[-500:]}"]
    return [] if early.memory and late.memory else ["too short to be looked at"]


def _grown(early: list[int], late: list[int]) -> Iterator[str]:
    before, after = statistics.median(early), statistics.median(late)
    if abs(after - before) >= LIMIT * before:
        yield f"{_mebibytes(early)} MiB became {_mebibytes(late)}"


def _mebibytes(samples: list[int]) -> str:
    return f"{statistics.median(samples or [0]) / 1024:.1f}"


def _more_files(early: list[int], late: list[int]) -> Iterator[str]:
    if statistics.median_low(late or [0]) > statistics.median_low(early or [0]):
        yield f"{early} became {late}"
