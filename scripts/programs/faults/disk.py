"""No room on the disk: the run ends with one line, keeps what it had, and goes on once there is room.

A small file system in memory is filled while a run writes; that takes the right to mount one. Without it, a limit on
the size of files stands in for it.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from faults.laboratory import MODELS, Laboratory, Recipe, Reference, finish, train
from faults.launch import Child
from faults.report import Row

from genlab.checkpoints import file as checkpoint

_NEVER = {"log_every": 10_000, "validate_every": 10_000, "preview_every": 10_000, "checkpoint_every": 10_000}

_LATER = 0.1
"""Seconds by which the disk is full later than in the run before: the shortest of these runs takes about one."""


@dataclass(frozen=True)
class Case:
    """A run that hardly writes anything but one kind of file; `begun` is a file by which to see that it does.

    settings: of the recipe; intervals: in steps, of what it writes.
    """

    name: str
    begun: str
    intervals: dict[str, int]
    settings: tuple[str, ...] = ()


CASES = [
    Case("metrics", "metrics.jsonl", {"log_every": 1}, ("logger.tensorboard=false",)),
    Case("TensorBoard", "events*", {"log_every": 1}),
    Case("previews", "previews/*.png", {"preview_every": 2}, ("logger.tensorboard=false",)),
    Case("checkpoints", "checkpoints/step_*.safetensors", {"checkpoint_every": 4}, ("logger.tensorboard=false",)),
    Case("everything", "checkpoints/step_*.safetensors", {key: 2 for key in _NEVER}),
]


def campaign(laboratory: Laboratory, times: int = 3) -> list[Row]:
    found = []
    mountable = _mountable(laboratory.work / "mounted")
    for case in CASES:
        recipe = _recipe(laboratory, case, steps=400)
        reference = laboratory.reference(recipe, f"disk-{case.name}")
        if mountable:
            found.append(
                _times(f"disk full, {case.name}", times, lambda n, c=case, r=reference: full(laboratory, c, r, n))
            )
    if not mountable:
        print("disk: no right to mount a small file system; only the limit on files is tried", flush=True)
    return [*found, *limits(laboratory, times)]


def _recipe(laboratory: Laboratory, case: Case, steps: int) -> Recipe:
    return laboratory.recipe(MODELS[-1], "plain", *case.settings, steps=steps, **_NEVER | case.intervals)


def _times(name: str, times: int, run: Callable[[int], Iterator[str]]) -> Row:
    row = Row("disk", name)
    for number in range(times):
        row.add(f"run {number}", run(number))
    return row


def full(laboratory: Laboratory, case: Case, reference: Reference, number: int) -> Iterator[str]:
    """Fill the disk while the run writes, make room again, and go on."""
    with mounted(laboratory.work / f"full-{case.name}-{number}") as disk:
        folder = disk / "run"
        log = laboratory.work / f"full-{case.name}-{number}.txt"
        child = Child(train(reference.recipe, folder), log)
        if not child.watch(lambda: any(folder.glob(case.begun))) or child.wait(_LATER * number) is not None:
            yield f"ended before the disk was full: {child.printed[-500:]}"
            return
        filler = disk / "filler"
        while child.wait(0.01) is None:
            _fill(filler)
        yield from failed_well(child, folder)
        filler.unlink()
        yield from finish(reference, folder)


def _fill(filler: Path) -> None:
    """Take what room is left."""
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(bytes(65536)):
            pass


def failed_well(child: Child, folder: Path) -> Iterator[str]:
    """What is wrong with how a run ended that could not write."""
    code = child.wait()
    if code is None:
        child.kill()
    if code != 1:
        yield f"exits with {code}: {child.printed.strip()[-500:]}"
    if "Traceback" in child.printed:
        yield f"shows a traceback: {child.printed[child.printed.index('Traceback') :][:1500]}"
    lines = [line for line in child.printed.splitlines() if "genlab: " in line]
    if len(lines) != 1:
        yield f"says {len(lines)} lines in place of one: {child.printed.strip()[-500:]}"
    for path in (folder / "checkpoints").glob("*.safetensors"):
        with suppress(FileNotFoundError):
            yield from _unreadable(path)


def _unreadable(path: Path) -> Iterator[str]:
    try:
        checkpoint.load(path)
    except ValueError as error:
        yield f"{path.name} is damaged: {error}"


def limits(laboratory: Laboratory, times: int) -> list[Row]:
    """The kernel refuses to let a file grow beyond a limit: a checkpoint, or the log of TensorBoard."""
    everything = _recipe(laboratory, CASES[-1], steps=200)
    reference = laboratory.reference(everything, "limit-reference")
    size = (reference.folder / "checkpoints/last.safetensors").stat().st_size
    small = Row("disk", "limit below a checkpoint")
    large = Row("disk", "limit above a checkpoint")
    for number in range(times):
        small.add(f"run {number}", limited(reference, laboratory.work / f"limit-small-{number}", size * 9 // 10))
        large.add(f"run {number}", limited(reference, laboratory.work / f"limit-large-{number}", size + 8000 * number))
    return [small, large]


def limited(reference: Reference, folder: Path, limit: int) -> Iterator[str]:
    """Let the run fail at the limit, then go on without one."""
    child = Child(train(reference.recipe, folder), Laboratory.log(folder), file_limit=limit)
    yield from failed_well(child, folder)
    yield from finish(reference, folder)


@contextmanager
def mounted(place: Path, megabytes: int = 64) -> Iterator[Path]:
    """A file system in memory at `place`."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}M", "none", place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _mountable(place: Path) -> bool:
    try:
        with mounted(place):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
