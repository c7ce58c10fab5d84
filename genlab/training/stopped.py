"""A run that came to a halt, as its folder tells: what it was to do, and where it can go on."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genlab.config import revise
from genlab.config.earlier import brought_up
from genlab.config.stranger import check_config, check_state
from genlab.config.untrusted_files import read_json, read_yaml
from genlab.training import checkpoint
from genlab.training.checkpoint import Start
from genlab.training.lock import TAKEN, holds_run, is_locked, state_of


@dataclass
class Stopped:
    """start: where to go on from; step: the step of that.

    config: of the run, with what a process asked of it that saved no checkpoint since.
    state: of `status.json`, but "killed" where the process is gone; None where that file is not there.
    ended: whether it had ended by itself at that step.
    damaged: a line for each newer checkpoint that cannot be read.
    """

    folder: Path
    config: DictConfig
    start: Start
    step: int
    state: str | None
    ended: bool
    damaged: list[str]

    @classmethod
    def read(cls, run: str | Path) -> "Stopped":
        """A run folder or one of its checkpoints. `ValueError` where no run can go on there."""
        place = Path(run)
        if place.is_file() and place.parent.name != "checkpoints":
            raise ValueError(
                f"run={run}: lies in no run's checkpoints folder; genlab train init_from={run} starts from it"
            )
        folder = place.parent.parent if place.is_file() else place
        if not folder.is_dir():
            raise ValueError(f"run={run}: no such run folder or checkpoint")
        if not holds_run(folder):
            raise ValueError(f"run={run}: no run began in this folder; begin one by genlab train")
        if is_locked(folder):
            raise ValueError(f"run={run}: {TAKEN}")
        refuse_links(folder)
        start, state, damaged = _find(place)
        config = _config(folder, start.path, state)
        word, step = state_of(folder), state["step"]
        ended = word == "finished" and read_json(folder / "status.json").get("step") == step
        return cls(folder, config, start, step, word, ended, damaged)

    def differences(self, request: dict) -> list[str]:
        """A line for each setting by which `request` would be another run than this one."""
        return revise.differences(self.config, OmegaConf.create(request))

    def is_done(self, request: DictConfig | dict) -> bool:
        """Whether the run ended by itself, and `request` does not let it last longer."""
        return self.ended and revise.stopping_rule(self.config) == revise.stopping_rule(request)


def _find(place: Path) -> tuple[Start, dict, list[str]]:
    """Where to go on, the state there, and a line for each checkpoint that was passed over."""
    if place.is_file():
        return Start(place), checkpoint.load(place), []
    if not any((place / "checkpoints").glob("*.pt")):
        return Start(), {"config": read_yaml(place / "config.yaml"), "step": 0}, []
    path, state, damaged = checkpoint.newest(place)
    return Start(path, tuple(damaged)), state, list(damaged.values())


def _config(folder: Path, path: Path | None, state: dict[str, Any]) -> DictConfig:
    """The run's config: what config.yaml says, as far as that may change, and the checkpoint for all else."""
    try:
        check_config(state.get("config"))
        if path:
            check_state(state)
    except ValueError as error:
        raise ValueError(f"{path or folder / 'config.yaml'}: no run can go on from it\n{error}") from error
    config = brought_up(state["config"])
    with suppress(ValueError):  # it may be damaged, or lost
        written = read_yaml(folder / "config.yaml")
        check_config(written)
        if not revise.differences(config, brought_up(written)):
            return brought_up(written)
    return config


def refuse_links(folder: Path) -> None:
    """`ValueError` where going on would write through a symbolic link to a place outside of the run's folder."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path}: is a symbolic link, and a run writes nowhere but in its own folder; replace it")
