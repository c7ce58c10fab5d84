"""Two processes that want one run folder: the second is refused, and the first does not notice."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from faults.laboratory import MODELS, Laboratory, Reference, differences, ended, finish, resume, train
from faults.launch import Child, genlab
from faults.report import Row


def campaign(laboratory: Laboratory, times: int = 3) -> list[Row]:
    reference = laboratory.reference(laboratory.recipe(MODELS[-1], steps=80), "locks")
    second, race, killed = (Row("locks", name) for name in ("a second process", "both at once", "after a SIGKILL"))
    for number in range(times):
        second.add(f"run {number}", refused(reference, laboratory.work / f"locks-second-{number}"))
        race.add(f"run {number}", raced(reference, laboratory.work / f"locks-race-{number}"))
        killed.add(f"run {number}", freed(reference, laboratory.work / f"locks-killed-{number}"))
    return [second, race, killed]


def refused(reference: Reference, folder: Path) -> Iterator[str]:
    """While a run trains, `genlab train` and `genlab resume` into its folder exit with 2 and change nothing."""
    first = Child(train(reference.recipe, folder), Laboratory.log(folder))
    assert first.watch(lambda: (folder / "checkpoints/last.safetensors").exists()), first.printed
    first.send(SIGSTOP)  # it holds what it holds for as long as the others take
    for arguments in (resume(folder), train(reference.recipe, folder)):
        code, printed = genlab(arguments, folder.with_name(f"{folder.name}-{arguments[0]}.txt"))
        yield from _not_refused(arguments[0], code, printed)
    first.send(SIGCONT)
    yield from ended(first, reference, folder)


def raced(reference: Reference, folder: Path) -> Iterator[str]:
    """Of two that start together one trains, and the other is refused."""
    logs = [folder.with_name(f"{folder.name}-{number}.txt") for number in range(2)]
    children = [Child(train(reference.recipe, folder), log) for log in logs]
    codes = [child.wait() for child in children]
    if sorted(codes, key=str) != [0, 2]:
        yield f"they exit with {codes}: {[child.printed.strip()[-300:] for child in children]}"
        return
    yield from _not_refused("train", 2, children[codes.index(2)].printed)
    yield from differences(reference.folder, folder)


def freed(reference: Reference, folder: Path) -> Iterator[str]:
    """A killed process leaves no lock."""
    child = Child(train(reference.recipe, folder), Laboratory.log(folder))
    assert child.watch(lambda: (folder / "checkpoints/last.safetensors").exists()), child.printed
    child.kill()
    yield from finish(reference, folder)


def _not_refused(command: str, code: int | None, printed: str) -> Iterator[str]:
    messages = [line for line in printed.splitlines() if line.startswith("genlab: ")]
    if code != 2 or len(messages) != 1 or "Traceback" in printed:
        yield f"the second, a {command}, exits with {code}: {printed.strip()[-500:]}"
