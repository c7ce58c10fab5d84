"""Sweeps (`genlab train -m`): all combinations of a grid, or a search of which only the space is known in advance."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from genlab.checkpoints.folder import SweepFolder
from genlab.config.compose import COMPOSITION_ERRORS, Job, RequestError, as_job, compose_or_explain, composing, parse

EXTRAS = {"joblib": None, "submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray", "optuna": "optuna"}
"""Launchers and sweepers, and the GenLab extra that installs each."""


@dataclass
class Plan:
    """A sweep that can be launched.

    jobs: all jobs of a grid; of a search, its first and last values, for checking. folder: of the sweep. total: number
    of jobs to launch. varied: keys that differ between jobs. hydra: Hydra's own node, for the whole command line.
    """

    jobs: list[Job]
    folder: SweepFolder
    total: int
    varied: list[str]
    hydra: DictConfig

    @property
    def launcher(self) -> str:
        return self.hydra.runtime.choices["hydra/launcher"]

    @property
    def searches(self) -> bool:
        """Whether later jobs depend on the results of earlier ones."""
        return self.hydra.runtime.choices["hydra/sweeper"] != "basic"


def plan(overrides: Sequence[str]) -> Plan:
    """The sweep of `genlab train -m OVERRIDES`. `RequestError` with all problems that composition can detect."""
    with composing():
        parsed = parse(overrides)
        hydra = _hydra_node(parsed)
        if hydra.runtime.choices["hydra/launcher"] == "joblib" and not hydra.launcher.n_jobs:
            raise ValueError(f"hydra.launcher.n_jobs={hydra.launcher.n_jobs}: must be at least 1, or -1 for all cores")
        searches = hydra.runtime.choices["hydra/sweeper"] != "basic"
        parsed = _with_file(hydra, parsed)
        varied = [override for override in parsed if override.is_sweep_override()]
        if searches:
            combinations = [[_at_bound(override, last) for override in parsed] for last in (False, True)]
        else:
            combinations = _grid(parsed)
        jobs = [as_job(compose_or_explain("train", line, job)) for job, line in enumerate(combinations)]
    folder = _folder(jobs)
    jobs = [replace(job, folder=folder / str(number)) for number, job in enumerate(jobs)]
    total = hydra.sweeper.n_trials if searches else len(jobs)
    return Plan(jobs, SweepFolder(folder), total, [override.key_or_group for override in varied], hydra)


def _folder(jobs: list[Job]) -> Path:
    """One folder for all jobs, named by all their models and datasets; a job's own path names only its own."""
    folder = jobs[0].folder.parent
    if len({job.folder.parent.parent for job in jobs}) == 1:
        return folder
    models = dict.fromkeys(job.config.choices.model for job in jobs)
    datasets = dict.fromkeys(job.config.choices.dataset for job in jobs)
    return folder.parent.with_name(f"{'+'.join(models)}-{'+'.join(datasets)}") / folder.name


def _hydra_node(parsed: list[Override]) -> DictConfig:
    """Hydra's own node: sweeper, launcher and their settings."""
    for override in parsed:
        if override.key_or_group == "hydra.sweep.subdir":
            raise ValueError(f"{override.input_line}: jobs are numbered; leave it out")
        if override.key_or_group == "sweep" and override.is_sweep_override():
            raise ValueError(f"{override.input_line}: choose one; values on the command line are added to its own")
        if override.key_or_group.startswith(("hydra", "sweep.")) and override.is_sweep_override():
            raise ValueError(f"{override.input_line}: applies to the whole sweep and takes one value")
    fixed = [override.input_line for override in parsed if not override.is_sweep_override()]
    own = [line for line in fixed if line.startswith("hydra")]
    # Mistakes in other settings than Hydra's own are explained when the jobs are composed.
    with suppress(*COMPOSITION_ERRORS):
        return compose("train", fixed, return_hydra_config=True).hydra
    try:
        return compose("train", own, return_hydra_config=True).hydra
    except COMPOSITION_ERRORS as error:
        raise ValueError(_plugin_problem(own, error)) from error


def _plugin_problem(own: list[str], error: Exception) -> str:
    """Why Hydra's own settings cannot be composed: a plugin is not there, or else as Hydra says."""
    choices = [line for line in own if line.startswith(("hydra/launcher=", "hydra/sweeper="))]
    for line in choices:
        key, _, name = line.partition("=")
        if name not in GlobalHydra.instance().config_loader().get_group_options(key):
            if name in EXTRAS:
                return f"{line}: is not installed; pip install 'genlab[{EXTRAS[name]}]'"
            return f"{line}: no such {key.removeprefix('hydra/')}; there are: basic, {', '.join(EXTRAS)}"
    reason = str(error).splitlines()[0].rstrip(".")
    return f"{' '.join(own)}: {reason}; genlab train {' '.join(choices)} --cfg hydra shows what there is"


def _with_file(hydra: DictConfig, parsed: list[Override]) -> list[Override]:
    """Overrides of a `sweep=NAME` file and of the command line, in the order that sweepers use: the file's come first,
    and the command line takes precedence."""
    file = parse([f"{key}={values}" for key, values in (hydra.sweeper.get("params") or {}).items()])
    return list({override.get_key_element(): override for override in (*file, *parsed)}.values())


def _grid(parsed: list[Override]) -> list[list[str]]:
    """All combinations of the values, as Hydra's basic sweeper makes them."""
    varied = [override for override in parsed if override.is_sweep_override()]
    for override in varied:
        if not override.is_discrete_sweep():
            raise ValueError(f"{override.input_line}: a grid takes single values; a search needs hydra/sweeper=optuna")
    (combinations,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    if not combinations:
        empty = [override for override in varied if not list(override.sweep_string_iterator())]
        raise RequestError([f"{override.input_line}: fits no choice" for override in empty])
    return combinations


def _at_bound(override: Override, last: bool) -> str:
    """The override with its first or last value."""
    prefix, value = override.input_line.split("=", 1)[0], override.value()
    if not override.is_sweep_override():
        return override.input_line
    if override.is_discrete_sweep():
        return f"{prefix}={list(override.sweep_string_iterator())[-1 if last else 0]}"
    return f"{prefix}={value.end if last else value.start}"
