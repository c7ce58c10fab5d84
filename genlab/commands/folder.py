"""The run that a command is asked for, and its folder, for commands that read its files without loading its model."""

import sys
from pathlib import Path

from genlab.checkpoints.folder import RunFolder
from genlab.inference.finding import find_run
from genlab.system.text import printable


def chosen_run(run: str, output_dir: str, with_checkpoint: bool = True) -> Path:
    """The run folder or checkpoint that `run` means; standard error says which, if `run` does not name it itself.
    `ValueError` if there is none."""
    if not run:
        raise ValueError("run=: is empty; name a run folder or a checkpoint file, or leave it out for the latest run")
    place, why = find_run(run, output_dir, with_checkpoint)
    if why:
        tell_choice(place, why)
    return place


def tell_choice(place: Path, why: str) -> None:
    """Say on standard error which run was taken."""
    print(printable(f"chosen     {place} ({why})"), file=sys.stderr)


def run_folder(run: str, output_dir: str) -> RunFolder:
    """The folder of the run that `run` means, which need not have a checkpoint. `ValueError` if there is no run."""
    place = chosen_run(run, output_dir, with_checkpoint=False)
    folder = RunFolder.of_checkpoint(place) if place.is_file() else RunFolder(place)
    if not folder.holds_run:
        raise ValueError(f"run={place}: no run began in this folder; begin one by genlab train")
    return folder
