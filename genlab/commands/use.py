"""What the commands that use a trained run share: compose the keys, load the run, write a command to paste."""

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from genlab.commands.results import check_writable
from genlab.config.compose import RequestError, compose_job, register
from genlab.config.untrusted_files import read_yaml

COMMON_KEYS = """  run          a run folder, a checkpoint file, or latest (default)
  weights      averaged (default) or raw: without the moving average
  seed         what is drawn by chance is a function of it (0)
  device       auto, cpu, cuda, mps; device.precision=bf16 and device.memory_format=channels_last may be faster
  picture_metadata  true (default) lets PNG and GIF files say that GenLab made them, of which run, step and seed"""


def compose_use(command: str, arguments: list[str]) -> DictConfig:
    """The config of one command line; `choices` holds the command and the dataset that is asked for, if any."""
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"{flags[0]}: no such option; see genlab {command} --help")
    register()
    job = compose_job(command, arguments)
    with open_dict(job.config):
        job.config.choices = {"command": command, "dataset": job.choices.get("dataset")}
    from genlab.config.check import problems_of_node, words_and_numbers

    problems = list(words_and_numbers(job.config))
    if job.config.get("dataset"):
        problems += problems_of_node("dataset", job.config.dataset)
    if problems:
        raise RequestError(problems)
    return job.config


def load_run(config: DictConfig):
    """The run that `config.run` names, on `config.device`, in a folder that can be written. Imports torch."""
    import logging

    from genlab.config.schema import DeviceConfig
    from genlab.sampling.load import load
    from genlab.training.device import prepare
    from genlab.training.lock import state_of

    if not config.run:
        raise ValueError("run=: is empty; name a run folder or a checkpoint file, or leave it out for the latest run")
    place = Path(config.run)
    if state_of(place) == "running" and not (place / "checkpoints/last.pt").exists():
        raise ValueError(f"run={place}: is still training and has saved no checkpoint yet; wait for {_first(place)}")
    settings = DeviceConfig(**config.device)
    kernels = {"precision": settings.precision, "memory_format": settings.memory_format}
    run = load(config.run, prepare(settings), config.output_dir, config.weights, **kernels)
    check_writable(run.folder)
    if state_of(run.folder) == "running":
        logging.getLogger("genlab").warning(
            "%s is still training; this is its checkpoint of step %d", run.folder, run.step
        )
    return run


def _first(folder: Path) -> str:
    """When a run that is training saves its first checkpoint."""
    with suppress(ValueError, KeyError, TypeError):
        if every := read_yaml(folder / "config.yaml")["trainer"]["checkpoint_every"]:
            return f"step {every} (trainer.checkpoint_every)"
    return "its last step (trainer.checkpoint_every=null)"


def command_line(command: str, **keys: Any) -> str:
    """A line to paste, as in genlab sample run=outputs/a seed=3: quoted for GenLab's grammar and for the shell."""
    return shlex.join(["genlab", command, *(f"{key}={quoted(str(value))}" for key, value in keys.items())])


def quoted(text: str) -> str:
    """A value as the grammar of overrides reads it back, in quotes where it must be."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    with suppress(HydraException):
        read = OverridesParser.create().parse_override(f"key={text}").value()
        if str(read) == text and "${" not in text:
            return text
    # Backslashes are doubled before a quote only, and ${ would be an interpolation.
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    return '"' + escaped.replace("${", "\\${") + '"'
