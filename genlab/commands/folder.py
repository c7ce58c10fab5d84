"""The folder of a run, for commands that read its files without loading its model."""

from pathlib import Path

from genlab.checkpoints.folder import RunFolder, SweepFolder
from genlab.commands.lines import command_line
from genlab.inference.load import latest


def run_folder(run: str, output_dir: str) -> RunFolder:
    """The folder that `run` names: a run's folder, one of its checkpoints, or "latest" (below `output_dir`). The run
    need not have a checkpoint. `ValueError` if there is no run."""
    if not run:
        raise ValueError("run=: is empty; name a run folder or a checkpoint file, or leave it out for the latest run")
    place = latest(output_dir, with_checkpoint=False) if run == "latest" else Path(run)
    folder = RunFolder.of_checkpoint(place) if place.is_file() else RunFolder(place)
    if SweepFolder(place).holds_sweep:
        raise ValueError(f"run={place}: holds a sweep; {command_line('compare', runs=place)} shows its runs")
    if not folder.holds_run:
        raise ValueError(f"run={place}: no run began in this folder; begin one by genlab train")
    return folder
