"""A stopped run, read from its folder: its config, and where it can be resumed."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.lock import TAKEN, is_locked
from genlab.checkpoints.status import state_of
from genlab.config import revise
from genlab.config.stored import check_state, stored_config
from genlab.contract.settings import STOPPING_KEYS, RunConfig, lookup
from genlab.system.small_files import read_json, read_yaml


@dataclass
class StoppedRun:
    """start: where to resume; step: the step there.

    config: the run's, including changes by a resumed process that has not saved a checkpoint.
    state: from `status.json`, but "killed" if the process is gone, and why it failed; None if there is no such file.
    ended: whether the run ended by itself at that step.
    damaged: a line for each newer checkpoint that cannot be read.
    """

    folder: RunFolder
    config: RunConfig
    start: Start
    step: int
    state: str | None
    ended: bool
    damaged: list[str]

    @classmethod
    def read(cls, run: str | Path) -> "StoppedRun":
        """Read a run folder or one of its checkpoints. `ValueError` if no run can be resumed from it."""
        place = Path(run)
        folder = RunFolder.of_checkpoint(place) if place.is_file() else RunFolder(place)
        if place.is_file() and place.parent != folder.checkpoints:
            raise ValueError(
                f"run={run}: lies in no run's checkpoints folder; genlab train init_from={run} starts from it"
            )
        if not folder.path.is_dir():
            raise ValueError(f"run={run}: no such run folder or checkpoint")
        if not folder.holds_run:
            raise ValueError(f"run={run}: no run began in this folder; begin one by genlab train")
        if is_locked(folder.path):
            raise ValueError(f"run={run}: {TAKEN}")
        refuse_links(folder.path)
        start, state, damaged = _find(folder, place)
        config = _config(folder, start.path, state)
        word, step = state_of(folder), state["step"]
        status = read_json(folder.status) if word in ("finished", "failed") else {}
        ended = word == "finished" and status.get("step") == step
        if word == "failed" and status.get("reason"):
            word += f": {str(status['reason']).splitlines()[0]}"
        return cls(folder, config, start, step, word, ended, damaged)

    @classmethod
    def of(cls, folder: RunFolder, config: RunConfig) -> "StoppedRun":
        """Read the run in `folder`. `ValueError` also if it differs from `config` in settings that may not change."""
        stopped = cls.read(folder.path)
        if differences := revise.differences(stopped.config, config):
            raise ValueError("\n".join([f"{folder}: holds another run: {differences[0]}", *differences[1:]]))
        return stopped

    def is_done(self, config: RunConfig) -> bool:
        """Whether the run ended by itself, and `config` does not let it last longer."""
        return self.ended and all(lookup(self.config, key) == lookup(config, key) for key in STOPPING_KEYS)


def _find(folder: RunFolder, place: Path) -> tuple[Start, dict[str, Any], list[str]]:
    """Where to resume, the state there, and a line for each checkpoint that was skipped."""
    if place.is_file():
        return Start(place), checkpoint.load(place), []
    if not folder.holds_checkpoints:
        return Start(), {"config": read_yaml(folder.config), "step": 0}, []
    path, state, damaged = checkpoint.newest(folder)
    return Start(path, tuple(damaged)), state, list(damaged.values())


def _config(folder: RunFolder, path: Path | None, state: dict[str, Any]) -> RunConfig:
    """The run's config: config.yaml if it differs only in settings that may change, else the checkpoint's."""
    try:
        config = stored_config(state.get("config"))
        if path:
            check_state(state)
    except ValueError as error:
        raise ValueError(f"{path or folder.config}: no run can be resumed from it\n{error}") from error
    with suppress(ValueError):  # it may be damaged, or lost
        written = stored_config(read_yaml(folder.config))
        if not revise.differences(config, written):
            return written
    return config


def refuse_links(folder: Path) -> None:
    """`ValueError` if a resumed run would write through a symbolic link to a place outside its folder."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise ValueError(f"{path}: is a symbolic link, and a run writes nowhere but in its own folder; replace it")
