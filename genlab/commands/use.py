"""Shared by commands that use a trained run: loading it, and the metadata of its images."""

import logging
from contextlib import suppress
from pathlib import Path

from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import state_of
from genlab.commands.results import check_writable
from genlab.config.commands import UseConfig
from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.media.metadata import GENERATED, Origin, run_id
from genlab.system.device import prepare
from genlab.system.small_files import read_yaml

log = logging.getLogger("genlab")


def load_run(config: UseConfig) -> Run:
    """Load the run `config.run` onto `config.device`. Its folder must be writable."""
    if not config.run:
        raise ValueError("run=: is empty; name a run folder or a checkpoint file, or leave it out for the latest run")
    place = RunFolder(Path(config.run))
    if state_of(place) == "running" and not place.last.exists():
        raise ValueError(f"run={place}: is still training and has saved no checkpoint yet; wait for {_first(place)}")
    device = prepare(config.device)
    kernels = {"precision": config.device.precision, "memory_format": config.device.memory_format}
    run = load(config.run, device, config.output_dir, config.weights, **kernels)
    check_writable(run.folder)
    if state_of(RunFolder(run.folder)) == "running":
        log.warning("%s is still training; this is its checkpoint of step %d", run.folder, run.step)
    return run


def _first(folder: RunFolder) -> str:
    """When a run in training saves its first checkpoint."""
    with suppress(ValueError, KeyError, TypeError):
        if every := read_yaml(folder.config)["trainer"]["checkpoint_every"]:
            return f"step {every} (trainer.checkpoint_every)"
    return "its last step (trainer.checkpoint_every=null)"


def image_origin(run: Run, config: UseConfig, content: str = GENERATED) -> Origin | None:
    """The metadata of a command's images; None if the user has turned it off."""
    if not config.image_metadata:
        return None
    return Origin(run.config.choices.model, run_id(run.folder), run.step, config.seed, content)
