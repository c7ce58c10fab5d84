"""Checkpoints that went bad on disk: each is refused, and the newest sound one is found in its place."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import lab
from faults.laboratory import MODELS, Laboratory, Reference, finish, train
from faults.launch import Child
from faults.report import Row

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder

COUNTS = {
    "cut short": 50,
    "one bit flipped": 200,
    "a block of 512 zeros": 20,
    "empty": 1,
    "a folder in its place": 1,
    "random bytes": 10,
    "bytes of an older checkpoint, then its own": 10,
}
"""How many cases of each kind of damage there are, of each of the two layouts."""

LAYOUTS = ("the last checkpoint, under all its names", "last.safetensors alone")


def campaign(laboratory: Laboratory, seed: int, counts: dict[str, int] = COUNTS, commands: int = 5) -> list[Row]:
    recipe = laboratory.recipe(MODELS[0], "averaged weights", checkpoint_every=7)
    folder = laboratory.reference(recipe, "damaged").folder
    found = in_process(folder, seed, counts)
    return [*found, by_command(laboratory, seed, commands)] if commands else found


def in_process(folder: Path, seed: int, counts: dict[str, int]) -> list[Row]:
    """Every kind of damage to the newest checkpoint of the finished run in `folder`, whole again at the end."""
    found = []
    steps = sorted((folder / "checkpoints").glob("step_*.safetensors"))
    good, older = steps[-1].read_bytes(), steps[-2].read_bytes()
    for layout in LAYOUTS:
        for kind, count in counts.items():
            random_numbers = random.Random(f"{seed} {kind}")
            row, same = Row("damage", f"{kind}; {layout}"), 0
            for number in range(count):
                data = damaged(kind, number, count, good, older, random_numbers)
                if data == good:
                    same += 1
                    continue
                expected = steps[-2] if layout == LAYOUTS[0] else steps[-1]
                with_damage(folder, data, alone=layout == LAYOUTS[1])
                row.add(f"case {number}", _undetected(folder, expected))
                make_whole(folder, good)
            row.remarks = f"{same} more left the same bytes" if same else ""
            found.append(row)
    return found


def damaged(kind: str, number: int, count: int, good: bytes, older: bytes, numbers: random.Random) -> bytes | None:
    """The bytes of the damaged file; None for a folder."""
    if kind == "cut short":
        return good[: len(good) * number // count] if number < count - 1 else good[:-1]
    if kind == "one bit flipped":
        place = numbers.randrange(len(good))
        return good[:place] + bytes([good[place] ^ 1 << numbers.randrange(8)]) + good[place + 1 :]
    if kind == "a block of 512 zeros":
        place = 512 * numbers.randrange(len(good) // 512)
        return good[:place] + bytes(512) + good[place + 512 :]
    if kind == "empty":
        return b""
    if kind == "random bytes":
        return numbers.randbytes(len(good))
    if kind == "bytes of an older checkpoint, then its own":
        place = numbers.randrange(1, len(good))
        return older[:place] + good[place:]
    assert kind == "a folder in its place"
    return None


def with_damage(folder: Path, data: bytes | None, alone: bool) -> None:
    """Give last.safetensors, or the one file behind it and its other names, the damaged `data`."""
    last = folder / "checkpoints/last.safetensors"
    names = [last] if alone else [path for path in last.parent.glob("*.safetensors") if path.samefile(last)]
    assert alone or len(names) > 1, "last.safetensors should be a link"
    if data is not None and not alone:
        last.write_bytes(data)
        return
    for path in names:
        path.unlink()
        path.mkdir() if data is None else path.write_bytes(data)


def make_whole(folder: Path, good: bytes) -> None:
    """Undo `with_damage`."""
    last = folder / "checkpoints/last.safetensors"
    numbered = sorted(last.parent.glob("step_*.safetensors"))[-1]
    for path in last.parent.glob("*.safetensors"):
        if path.is_dir():
            path.rmdir()
    numbered.write_bytes(good)
    last.unlink(missing_ok=True)
    last.hardlink_to(numbered)


def _undetected(folder: Path, expected: Path) -> Iterator[str]:
    """What is wrong if damage to last.safetensors is unnoticed, or another than the `expected` checkpoint is found."""
    try:
        checkpoint.load(folder / "checkpoints/last.safetensors")
        yield "it loads"
    except ValueError:
        pass
    except Exception as error:
        yield f"load raises {type(error).__name__}: {error}"
    try:
        path, state, damaged = checkpoint.newest(RunFolder(folder))
        lines = [*damaged.values()]
        if list(lab.differences(state, checkpoint.load(expected))):
            yield f"newest gives {path.name}, not {expected.name}"
        if not any("last.safetensors" in line or "step_" in line for line in lines):
            yield f"newest says nothing of the damage: {lines}"
    except Exception as error:
        yield f"newest raises {type(error).__name__}: {error}"


def by_command(laboratory: Laboratory, seed: int, count: int) -> Row:
    """`genlab resume` of a killed run whose newest checkpoint is damaged, to the end."""
    row = Row("damage", "genlab resume of a killed run, to the end")
    random_numbers = random.Random(seed)
    recipe = laboratory.recipe(MODELS[-1], "averaged weights", steps=60)
    reference = laboratory.reference(recipe, "damage-reference")
    killed = kill_with_checkpoints(laboratory, reference, laboratory.work / "damage-killed")
    for kind in list(COUNTS)[:count]:
        folder = laboratory.work / f"damage-{kind.replace(' ', '-')}"
        shutil.copytree(killed, folder)
        link_again(folder)
        steps = sorted((folder / "checkpoints").glob("step_*.safetensors"))
        good, older = steps[-1].read_bytes(), steps[-2].read_bytes()
        with_damage(folder, damaged(kind, 1, 3, good, older, random_numbers), alone=False)
        row.add(kind, [*finish(reference, folder), *_unsaid(Laboratory.log(folder), steps[-1].name)])
    return row


def kill_with_checkpoints(laboratory: Laboratory, reference: Reference, folder: Path) -> Path:
    """A run of the recipe that was killed with three numbered checkpoints, the newest of which is the last."""
    child = Child(train(reference.recipe, folder), Laboratory.log(folder))
    assert child.watch(lambda: len(list(folder.glob("checkpoints/step_*.safetensors"))) >= 3)
    child.kill()
    return folder


def link_again(folder: Path) -> None:
    """A copied folder has lost its links, and a kill may have come before the newest of them."""
    last = folder / "checkpoints/last.safetensors"
    last.unlink()
    last.hardlink_to(sorted(last.parent.glob("step_*.safetensors"))[-1])
    for path in last.parent.glob(".*"):
        path.unlink()


def _unsaid(log: Path, name: str) -> Iterator[str]:
    """A resume says in one line for each name of the file what is damaged."""
    lines = [line for line in log.read_text().splitlines() if "damaged" in line or "not a readable" in line]
    if not lines:
        yield "the damage is not told"
    if len(lines) > 2:
        yield f"the damage of {name} is told in {len(lines)} lines: {lines}"
