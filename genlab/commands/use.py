"""What the commands that use a trained run share: compose the keys, load the run, make a folder for results."""

import os
from pathlib import Path

from omegaconf import DictConfig, open_dict

from genlab.config.compose import RequestError, compose_jobs, register

COMMON_KEYS = """  run          a run folder, a checkpoint file, or latest (default)
  weights      averaged (default) or raw: without the moving average
  seed         what is drawn by chance is a function of it (0)
  device       auto, cpu, cuda, mps"""


def compose_use(command: str, arguments: list[str]) -> DictConfig:
    """The config of one command line; `choices.dataset` names the dataset that it asks for, if any."""
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"{flags[0]}: no such option; see genlab {command} --help")
    register()
    job = compose_jobs(command, arguments)[0]
    with open_dict(job.config):
        job.config.choices = {"dataset": job.choices.get("dataset")}
    from genlab.config.check import problems_of_node, words_and_minima

    problems = list(words_and_minima(job.config))
    if job.config.get("dataset"):
        problems += problems_of_node("dataset", job.config.dataset)
    if problems:
        raise RequestError(problems)
    return job.config


def load_run(config: DictConfig):
    """The run that `config.run` names, on `config.device`. Imports torch."""
    import logging

    from genlab.config.schema import DeviceConfig
    from genlab.sampling.load import is_training, load
    from genlab.training.device import prepare

    run = load(config.run, prepare(DeviceConfig(**config.device)), config.output_dir, config.weights)
    if is_training(run.folder):
        logging.getLogger("genlab").warning(
            "%s is still training; this is its checkpoint of step %d", run.folder, run.step
        )
    return run


def result_folder(run, kind: str, *parts: str) -> Path:
    """A folder below the run's for one result, named by step and request. `ValueError` where there can be none."""
    raw = ["raw"] if run.weights == "raw" else []
    folder = run.folder / kind / "-".join([f"step_{run.step:07d}", *raw, *filter(None, parts)])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be made ({os.strerror(error.errno)}); copy the run where you may write"
        ) from error
    return folder
