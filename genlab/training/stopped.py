"""A run that came to a halt, as its folder tells: what it was to do, and where it can go on."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genlab.config import revise
from genlab.config.stranger import check_config
from genlab.config.untrusted_files import read_json, read_yaml
from genlab.training import checkpoint
from genlab.training.lock import holds_run, is_locked, state_of


@dataclass
class Stopped:
    """start: the checkpoint to go on from, None for the very beginning; step: its step.

    state: of `status.json`, but "killed" where the process is gone; None where that file is not there.
    ended: whether it had ended by itself at that step.
    damaged: a line for each newer checkpoint that cannot be read.
    """

    folder: Path
    config: DictConfig
    start: Path | None
    step: int
    state: str | None
    ended: bool
    damaged: list[str]

    @classmethod
    def read(cls, run: str | Path) -> "Stopped":
        """A run folder or one of its checkpoints. `ValueError` where no run can go on there."""
        place = Path(run)
        folder = place.parent.parent if place.is_file() else place
        if not folder.is_dir():
            raise ValueError(f"run={run}: no such run folder or checkpoint")
        if not holds_run(folder):
            raise ValueError(f"run={run}: no run began in this folder; begin one by genlab train")
        if is_locked(folder):
            raise ValueError(f"run={run}: another process is training into this folder; wait for it or end it")
        _refuse_links(folder)
        damaged: list[str] = []
        if place.is_file():
            path, state = place, checkpoint.load(place)
        elif any((folder / "checkpoints").glob("*.pt")):
            path, state, damaged = checkpoint.newest(folder)
        else:
            path, state = None, {"config": read_yaml(folder / "config.yaml"), "step": 0}
        try:
            check_config(state.get("config"))
        except ValueError as error:
            raise ValueError(f"{path or folder / 'config.yaml'}: its config cannot be used\n{error}") from error
        word, step = state_of(folder), state["step"]
        ended = word == "finished" and read_json(folder / "status.json").get("step") == step
        return cls(folder, OmegaConf.create(state["config"]), path, step, word, ended, damaged)

    def differences(self, request: dict) -> list[str]:
        """A line for each setting by which `request` would be another run than this one."""
        return revise.differences(self.config, OmegaConf.create(request))

    def is_done(self, request: DictConfig | dict) -> bool:
        """Whether the run ended by itself, and `request` does not let it last longer."""
        return self.ended and revise.stopping_rule(self.config) == revise.stopping_rule(request)


def _refuse_links(folder: Path) -> None:
    """`ValueError` where going on would write through a symbolic link to a place outside of the run's folder."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() and path != folder:
            raise ValueError(f"{path}: is a symbolic link, and a run writes nowhere but in its own folder; replace it")
