"""File names inside run folders and sweep folders, defined only here."""

import re
from dataclasses import dataclass
from pathlib import Path

LOCK = ".lock"
"""In the folder of a run or a sweep, see `genlab.checkpoints.lock`."""

_SUFFIX = ".safetensors"
_NUMBERED = re.compile(rf"step_(\d+){re.escape(_SUFFIX)}")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, which may not exist yet. The README describes the files."""

    path: Path

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "RunFolder":
        """The run folder of a checkpoint; for a file outside a `checkpoints` folder, the folder that contains it."""
        inside = checkpoint.parent.name == "checkpoints"
        return cls(checkpoint.parent.parent if inside else checkpoint.parent)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def previews(self) -> Path:
        return self.path / "previews"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint that a run resumes from."""
        return self.checkpoints / f"last{_SUFFIX}"

    @property
    def best(self) -> Path:
        """The checkpoint with the best value of the ranking metric."""
        return self.checkpoints / f"best{_SUFFIX}"

    @property
    def best_before_end(self) -> Path:
        """`best` as it was before the extra measurement at the end of the run."""
        return self.checkpoints / f"best_before_end{_SUFFIX}"

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

    def __str__(self) -> str:
        return str(self.path)

    @property
    def request(self) -> Path:
        """The overrides that define the sweep."""
        return self.path / "sweep.json"

    @property
    def summary(self) -> Path:
        """One line per job."""
        return self.path / "summary.csv"

    @property
    def holds_sweep(self) -> bool:
        """Whether a sweep was started here."""
        return self.request.is_file()

    def job(self, number: int) -> "JobFolder":
        return JobFolder(self.path / str(number))


@dataclass(frozen=True)
class JobFolder(RunFolder):
    """The folder of a run that is a job of a sweep."""

    @property
    def record(self) -> Path:
        """The job's overrides, whether it has ended since its last launch, and why, if it failed."""
        return self.path / "job.json"
