"""Which run is meant: by a folder of runs, by a sweep, by "latest", or by nothing."""

from pathlib import Path

from genlab.checkpoints.folder import RunFolder, SweepFolder, found_below
from genlab.checkpoints.lock import is_locked
from genlab.checkpoints.status import state_of
from genlab.comparison.best import best_job


def find_run(run: str | Path, output_dir: str, with_checkpoint: bool = True) -> tuple[Path, str]:
    """The run folder or checkpoint that `run` means, and why if it does not name that itself: the newest run in a
    folder of runs, the best job of a sweep, or "latest" (below `output_dir`). What is none of these is returned as it
    is. `ValueError` if a folder or a sweep has no such run.

    with_checkpoint: whether the newest is the last to have saved a checkpoint, or to have written its status.
    """
    if run == "latest":
        return latest(output_dir, with_checkpoint), ""
    place = Path(run)
    if RunFolder(place).holds_run or not place.is_dir():
        return place, ""
    if SweepFolder(place).holds_sweep:
        return best_job(SweepFolder(place))
    if newest := _newest_first(place, with_checkpoint):
        return newest[0].path, f"the newest run in {place}"
    if found_below(place)[0]:
        raise ValueError(f"run={place}: no run in this folder has a checkpoint that this version reads")
    return place, ""


def latest(output_dir: str, with_checkpoint: bool = True) -> Path:
    """The run folder below `output_dir` with the newest checkpoint; with the newest status if not `with_checkpoint`."""
    if newest := _newest_first(Path(output_dir), with_checkpoint):
        return newest[0].path
    what = "run with a checkpoint" if with_checkpoint else "run"
    raise ValueError(f"run=latest: no {what} below {output_dir} that this version reads; train one with: genlab train")


def last_stopped(output_dir: str) -> tuple[Path, str]:
    """The last run below `output_dir` that was interrupted, failed or killed, and in which state it is; of a job that
    was interrupted or killed, its sweep. `ValueError` if there is none."""
    runs = _newest_first(Path(output_dir), with_checkpoint=False)
    for run in runs:
        if (state := state_of(run)) in ("interrupted", "failed", "killed"):
            sweep = SweepFolder(run.path.parent)
            if not sweep.holds_sweep:
                return run.path, f"{state}; the last run that was stopped"
            if state != "failed" and not is_locked(sweep.path):  # a sweep goes on after a job that failed
                return sweep.path, f"job {run.path.name} was {state}; the last that was stopped"
    if not runs:
        raise ValueError(f"run: there is no run below {output_dir}; train one with: genlab train")
    longer = "genlab resume run=latest trainer.max_steps=N trains the latest longer"
    raise ValueError(f"run: no run below {output_dir} was stopped before its end; {longer}")


def _newest_first(place: Path, with_checkpoint: bool) -> list[RunFolder]:
    """The runs below a folder that have a checkpoint, or else a status, the last to have written it first."""
    written = {}
    for run in found_below(place)[0]:
        if (file := run.last if with_checkpoint else run.status).is_file():
            written[run] = file.stat().st_mtime
    return sorted(written, key=lambda run: -written[run])
