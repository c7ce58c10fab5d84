"""SIGINT and SIGTERM: a checkpoint within seconds, the right exit code, and a run that goes on as if never stopped."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM

from faults.kills import saving
from faults.laboratory import MODELS, Laboratory, Reference, finish, train
from faults.launch import Child
from faults.report import Row

from genlab.checkpoints import file as checkpoint

_ECHO = 0.5
"""Seconds between two signals that are meant as two: launchers send one twice."""

LIMIT = 5.0
"""Seconds until a run that was told to stop has ended."""


@dataclass(frozen=True)
class Case:
    """A signal to a run of `model`, with `settings` and `intervals` that make the moment likely.

    group: to the whole process group, as a terminal and a job scheduler send it, not to the first process alone.
    """

    name: str
    number: signal.Signals
    model: str
    variety: str = "plain"
    settings: tuple[str, ...] = ()
    intervals: tuple[tuple[str, int], ...] = ()
    within_save: bool = False
    group: bool = True


_VALIDATING = {
    "model": MODELS[-1],
    "settings": ("dataset.validation_fraction=0.8", "dataset.num_images=4000"),
    "intervals": (("validate_every", 1),),
}
"""A run that validates nearly all of its time."""

CASES = [
    Case("SIGINT in training", SIGINT, MODELS[-1]),
    Case("SIGTERM in training", SIGTERM, MODELS[0], "averaged weights", group=False),
    Case("SIGINT in validation", SIGINT, **_VALIDATING),
    Case("SIGTERM in validation", SIGTERM, **_VALIDATING, group=False),
    Case("SIGINT during a save", SIGINT, MODELS[-2], intervals=(("checkpoint_every", 1),), within_save=True),
    Case("SIGTERM during a save", SIGTERM, MODELS[1], intervals=(("checkpoint_every", 1),), within_save=True),
    Case("SIGINT to workers too", SIGINT, MODELS[-1], "streaming"),
    Case("SIGTERM to workers too", SIGTERM, MODELS[-1], "streaming"),
    Case("SIGINT to two processes", SIGINT, MODELS[0], settings=("device.processes=2",)),
    Case("SIGTERM to the first of two processes", SIGTERM, MODELS[0], settings=("device.processes=2",), group=False),
]


def campaign(laboratory: Laboratory, seed: int, times: int = 3) -> list[Row]:
    random_numbers = random.Random(seed)
    found = []
    for number, case in enumerate(CASES):
        row, waits = Row("signals", case.name), []
        recipe = laboratory.recipe(case.model, case.variety, *case.settings, steps=80, **dict(case.intervals))
        reference = laboratory.reference(recipe, f"signals-{number}")
        for attempt in range(times):
            folder = laboratory.work / f"signals-{number}-{attempt}"
            row.add(f"run {attempt}", stop_and_resume(reference, case, folder, random_numbers, waits))
        row.remarks = f"ended within {max(waits, default=0):.1f} s"
        found.append(row)
    return [*found, twice(laboratory, times), starting(laboratory, random_numbers, 2 * times)]


def stop_and_resume(
    reference: Reference, case: Case, folder: Path, numbers: random.Random, waits: list[float]
) -> Iterator[str]:
    """One run that is told to stop at a random moment after its first checkpoint, then resumed."""
    child = Child(train(reference.recipe, folder), Laboratory.log(folder))
    if not child.watch(_moment(case, folder, numbers)):
        yield f"ended with {child.wait(0)} before the signal: {child.printed[-500:]}"
        return
    child.send(case.number, case.group)
    begin = time.monotonic()
    code = child.wait(30)
    waits.append(time.monotonic() - begin)
    if code is None:
        child.kill()
    yield from _end_problems(child, case.number, code, waits[-1], folder)
    yield from finish(reference, folder)


def _moment(case: Case, folder: Path, numbers: random.Random) -> Callable[[], bool]:
    """Whether it is time for the signal: a few steps after the first checkpoint."""
    steps = numbers.randint(1, 20)

    def now() -> bool:
        rows = folder / "metrics.jsonl"
        begun = (
            (folder / "checkpoints/last.safetensors").exists()
            and rows.exists()
            and rows.read_bytes().count(b"\n") > steps
        )
        return begun and (saving(folder) or not case.within_save)

    return now


def _end_problems(child: Child, number: signal.Signals, code: int | None, wait: float, folder: Path) -> Iterator[str]:
    """What is wrong with how a run ended that got the signal `number` once."""
    if code != 128 + number:
        yield f"exits with {code}: {child.printed.strip()[-500:]}"
    if wait > LIMIT:
        yield f"ends after {wait:.1f} s"
    if "Traceback" in child.printed:
        yield f"shows a traceback: {child.printed[child.printed.index('Traceback') :][:1500]}"
    if f"genlab resume run={folder}" not in child.printed:
        yield f"does not say how to go on: {child.printed.strip()[-300:]}"
    status = json.loads((folder / "status.json").read_text())
    if status["status"] != "interrupted":
        yield f"status {status['status']}"
    step = checkpoint.load(folder / "checkpoints/last.safetensors")["step"]
    if step != status["step"]:
        yield f"last.safetensors is of step {step}, the run stopped at {status['step']}"
    if saving(folder):
        yield "a temporary file is left"


def twice(laboratory: Laboratory, times: int) -> Row:
    """A second SIGINT ends a run at once, whatever it does; it goes on from the checkpoint before."""
    row, waits = Row("signals", "SIGINT twice"), []
    slow = (
        "dataset.num_images=40000",
        "trainer.batch_size=20000",
        "network.hidden=[600,600,600,600]",
    )  # a step takes seconds, but no operation of it a second: Python handles signals between operations
    recipe = laboratory.recipe(MODELS[-1], "plain", *slow, steps=4, checkpoint_every=2)
    reference = laboratory.reference(recipe, "signals-twice")
    for attempt in range(times):
        folder = laboratory.work / f"signals-twice-{attempt}"
        row.add(f"run {attempt}", _stop_twice(reference, folder, waits))
    row.remarks = f"ended within {max(waits, default=0):.1f} s of the second"
    return row


def _stop_twice(reference: Reference, folder: Path, waits: list[float]) -> Iterator[str]:
    child = Child(train(reference.recipe, folder), Laboratory.log(folder))
    if not child.watch(
        lambda: (folder / "metrics.jsonl").exists() and (folder / "checkpoints/last.safetensors").exists()
    ):
        yield f"ended before the signal: {child.printed[-500:]}"
        return
    time.sleep(_ECHO)  # so that it is in the step after the save, not still at its end
    child.send(SIGINT)
    time.sleep(_ECHO)
    if child.wait(0) is not None:
        yield "ended before the second signal"
    child.send(SIGINT)
    begin = time.monotonic()
    code = child.wait(30)
    waits.append(time.monotonic() - begin)
    if code not in (130, -SIGINT):
        yield f"exits with {code}: {child.printed.strip()[-500:]}"
    if waits[-1] > 1:
        yield f"ends after {waits[-1]:.1f} s"
    if "Traceback" in child.printed:
        yield "shows a traceback"
    if code is None:
        child.kill()
    yield from finish(reference, folder)


def starting(laboratory: Laboratory, numbers: random.Random, times: int) -> Row:
    """A signal in the first seconds of a real process, while it imports and reads data: no traceback, no harm."""
    row = Row("signals", "SIGINT or SIGTERM while starting")
    reference = laboratory.reference(laboratory.recipe(MODELS[0], steps=600), "signals-starting")
    for attempt in range(times):
        number = (SIGINT, SIGTERM)[attempt % 2]
        folder, seconds = laboratory.work / f"signals-starting-{attempt}", numbers.uniform(0.2, 3.5)
        row.add(f"{number.name} after {seconds:.2f} s", _stop_early(reference, folder, number, seconds))
    return row


def _stop_early(reference: Reference, folder: Path, number: signal.Signals, seconds: float) -> Iterator[str]:
    child = Child(train(reference.recipe, folder), Laboratory.log(folder), real=True)
    time.sleep(seconds)
    child.send(number)
    code = child.wait(30)
    if code is None:
        child.kill()
    if code not in (128 + number, -number):
        yield f"exits with {code}: {child.printed.strip()[-500:]}"
    if "Traceback" in child.printed:
        yield f"shows a traceback: {child.printed[child.printed.index('Traceback') :][-1500:]}"
    yield from finish(reference, folder)
