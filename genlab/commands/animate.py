"""`genlab animate`: the previews of a run as an animation, and some of them side by side. Needs no checkpoint."""

import re
from dataclasses import dataclass
from pathlib import Path

from genlab.checkpoints.folder import RunFolder
from genlab.commands.folder import run_folder
from genlab.commands.lines import command_line
from genlab.commands.results import check_writable, results
from genlab.config.commands import AnimateConfig
from genlab.media.animation import MOST_FRAMES, entries_of, evenly, growing, save_film, save_strip

_PREVIEW = re.compile(r"step_(\d{1,12})-([a-z0-9_-]{1,60})\.png")
_USUAL = "samples"


@dataclass
class Previewed:
    """A run as far as its previews tell: step is that of the last one."""

    folder: Path
    step: int
    precision: str = "fp32"


def main(config: AnimateConfig) -> None:
    folder = run_folder(config.run, config.output_dir).path
    name, found = _previews(folder, config.name)
    check_writable(folder)
    steps = sorted(found)
    film = [steps[place] for place in evenly(len(steps), MOST_FRAMES)]
    strip = growing(steps, config.frames)
    last = found[steps[-1]]
    with results(Previewed(folder, steps[-1]), "animations", config, name) as (new, path):
        times = f"{film[0]} to {film[-1]}"
        listed = ", ".join(map(str, strip))
        save_film(*_frames(found, film), new / "animation.gif", config.milliseconds, entries_of(last, times))
        save_strip(*_frames(found, strip), new / "strip.png", entries_of(last, listed), config.columns)
    print(f"animation  {path}/animation.gif ({len(film)} of {len(steps)} previews of {name}, steps {times})")
    print(f"strip      {path}/strip.png (steps {listed})")
    print(f"next       {command_line('sample', run=folder)}")


def _frames(found: dict[int, Path], steps: list[int]) -> tuple[list[Path], list[str]]:
    """The previews of these steps, and their titles."""
    return [found[step] for step in steps], [f"step {step:,}" for step in steps]


def _previews(folder: Path, name: str | None) -> tuple[str, dict[int, Path]]:
    """The previews `name` by step; None takes samples, or else the first there are."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(RunFolder(folder).previews.glob("step_*.png")):
        if (match := _PREVIEW.fullmatch(path.name)) and path.is_file() and not path.is_symlink():
            found.setdefault(match[2], {})[int(match[1])] = path
    several = {name for name, steps in found.items() if len(steps) > 1}
    if not several:
        there = "its previews are of one step alone" if found else "it has no previews"
        raise ValueError(f"run={folder}: {there}; train with trainer.preview_every=100, or another number of steps")
    if name is None:
        name = _USUAL if _USUAL in several else min(several)
    if name not in several:
        raise ValueError(f"name={name}: this run has the previews {', '.join(sorted(several))}")
    return name, found[name]
