"""File names inside run folders and sweep folders, defined only here."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.system.small_files import read_json

LOCK = ".lock"
"""In the folder of a run or a sweep, see `genlab.checkpoints.lock`."""

_JOB = "job.json"
_SETTINGS = re.compile(r"[\w.+-]{1,100}=[\w.,=+-]{0,200}")  # a record may come from an untrusted source
_SUFFIX = ".safetensors"
_NUMBERED = re.compile(rf"step_(\d+){re.escape(_SUFFIX)}")


class _Inside:
    """A path inside a folder that has a `path`."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, folder: Any, kind: type) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, which may not exist yet. The README describes the files."""

    path: Path

    config = _Inside("config.yaml")
    environment = _Inside("environment.json")
    log = _Inside("train.log")
    metrics = _Inside("metrics.jsonl")
    metrics_table = _Inside("metrics.csv")
    status = _Inside("status.json")
    evaluation = _Inside("evaluation.json")
    previews = _Inside("previews")
    checkpoints = _Inside("checkpoints")

    last = _Inside(f"checkpoints/last{_SUFFIX}")
    """The checkpoint that a run resumes from."""

    best = _Inside(f"checkpoints/best{_SUFFIX}")
    """The checkpoint with the best value of the ranking metric."""

    best_before_end = _Inside(f"checkpoints/best_before_end{_SUFFIX}")
    """`best` as it was before the extra measurement at the end of the run."""

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "RunFolder":
        """The run folder of a checkpoint; for a file outside a `checkpoints` folder, the folder that contains it."""
        inside = checkpoint.parent.name == "checkpoints"
        return cls(checkpoint.parent.parent if inside else checkpoint.parent)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def events(self) -> Path:
        """Where event files are, by whose path TensorBoard names the run: here, or, of a sweep's job, in a folder
        named by its settings."""
        with suppress(ValueError, KeyError, TypeError):  # no job, or a damaged record
            if _SETTINGS.fullmatch(name := read_json(self.path / _JOB)["name"]):
                return self.path / name
        return self.path

    def logger(self, key: str) -> Path:
        """What a remote logger needs to go on as the same run."""
        return self.path / f"{key}.json"

    def numbered(self, step: int) -> Path:
        """The checkpoint of one step."""
        return self.checkpoints / f"step_{step:07d}{_SUFFIX}"

    def all_numbered(self) -> list[Path]:
        """The existing checkpoints with a step in their name, in order of their steps."""
        found = (path for path in self.checkpoints.glob(f"step_*{_SUFFIX}") if _NUMBERED.fullmatch(path.name))
        return sorted(found, key=step_of)

    @property
    def holds_checkpoints(self) -> bool:
        """Whether there are any, of this version or an earlier one."""
        return any(path.suffix in (_SUFFIX, ".pt") for path in self.checkpoints.glob("[!.]*"))

    @property
    def holds_run(self) -> bool:
        """Whether a run was started here."""
        return self.config.exists() or self.checkpoints.exists()


def step_of(checkpoint: Path) -> int:
    """The step in the name of a numbered checkpoint. `ValueError` for any other name."""
    match = _NUMBERED.fullmatch(checkpoint.name)
    if match is None:
        raise ValueError(f"{checkpoint}: its name holds no step")
    return int(match[1])


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep; its jobs are runs in numbered subfolders."""

    path: Path

    request = _Inside("sweep.json")
    """The overrides that define the sweep."""

    summary = _Inside("summary.csv")
    """One line per job."""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def holds_sweep(self) -> bool:
        """Whether a sweep was started here."""
        return self.request.is_file()

    def job(self, number: int) -> "JobFolder":
        return JobFolder(self.path / str(number))


@dataclass(frozen=True)
class JobFolder(RunFolder):
    """The folder of a run that is a job of a sweep."""

    record = _Inside(_JOB)
    """The job's overrides and name, whether it has ended since its last launch, and why, if it failed."""


_LEVELS = 4
"""Of folders below that of all runs: of a sweep's jobs, sweeps/NAME/TIME/NUMBER."""


def found_below(place: Path) -> tuple[list[RunFolder], list[SweepFolder]]:
    """The runs and the sweeps in a folder, itself and those a few levels below it included."""
    runs, sweeps = [], []
    for above, below, files in os.walk(place):
        run, sweep = RunFolder(Path(above)), SweepFolder(Path(above))
        if sweep.request.name in files:
            sweeps.append(sweep)
        if run.config.name in files or run.checkpoints.name in below:
            runs.append(run)
        if run in runs[-1:] or len(run.path.relative_to(place).parts) >= _LEVELS:
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return runs, sweeps
