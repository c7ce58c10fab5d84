"""Checks whether a run can be trained: everything that can be verified before data is read."""

import os
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder, SweepFolder
from genlab.config.build import (
    build_on_meta,
    build_optimizers,
    build_schedule,
    build_source,
    check_size,
    player_settings,
)
from genlab.config.check import locate, mismatches, problems_of, ranking_metrics
from genlab.config.compose import RequestError
from genlab.config.options import class_of, models_of_kinds, usual_spec
from genlab.config.paths import options
from genlab.config.stored import check_weights, unstorable
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import PAIRS, RunConfig
from genlab.data.source import Source
from genlab.media.kinds import shown_kind
from genlab.metrics.catalogue import directions_of, unknown
from genlab.runs.batch_norm import batch_norm_problem
from genlab.runs.loggers import missing_packages
from genlab.runs.rules import broken_rules
from genlab.system import memory, plugins
from genlab.system.device import resolve
from genlab.system.files import not_writable
from genlab.system.text import did_you_mean, shell_line

T = TypeVar("T")


def check(
    config: RunConfig, folder: Path | None, sweep_metric: str | None = None, found_before: Sequence[str] = ()
) -> None:
    """Raise `RequestError` with a line for each problem of training `config` into `folder` (None: a resumed run).

    sweep_metric: ranks the jobs of the sweep, if the run is one. found_before: problems to report as well.
    """
    by_node = problems_of(config, sweep_metric)
    problems = [*found_before, *(line for lines in by_node.values() for line in lines)]
    checks = _Check(config, set(by_node), sweep_metric)
    checks.run(begins=folder is not None)
    problems += [*checks.problems, *missing_packages(config.logger)]
    problems += _folder_problems(RunFolder(folder), config.output_dir) if folder else []
    if problems := problems or unstorable(config):
        raise RequestError(problems)


class _Check:
    """Problems that only constructors detect, for nodes that are not `bad` already."""

    def __init__(self, config: RunConfig, bad: set[str], sweep_metric: str | None):
        self.config, self.bad = config, bad
        self.ranking = ranking_metrics(config, sweep_metric)
        self.problems: list[str] = []

    def run(self, begins: bool) -> None:
        """Collect `problems`; `begins`: whether it is a new run."""
        config, bad = self.config, self.bad
        if "device" not in bad:
            self._try(resolve, config.device.name, config.device.index)
        if "schedule" not in bad:
            self._try(build_schedule, config)
        if config.init_from and begins:
            self._try(lambda start: check_weights(checkpoint.find(start)[1]), config.init_from, what="init_from: ")
        source = None if "dataset" in bad else self._try(build_source, config.dataset)
        if source is None:
            return
        batch, size = config.trainer.batch_size, source.sizes["train"]
        if "trainer" not in bad and batch > size:
            self.problems.append(
                f"trainer.batch_size={batch}: larger than the dataset, which has {size} training examples"
            )
        elif "trainer" not in bad:
            needed = batch * prod(source.spec.shape) * torch.get_default_dtype().itemsize
            advice = "make it smaller, or the images, as in dataset.size=64"
            self._try(memory.check, needed, f"trainer.batch_size={batch}: a batch needs", advice)
        self._try(shown_kind(source.spec).check_augmentation, config.loader.flip, config.loader.shift)
        if not bad & {"model", "network"}:
            self._check_model(source)

    def _try(self, work: Callable[..., T], *arguments: Any, what: str = "") -> T | None:
        """The result of `work`; None if it raises a `ValueError`, which is a problem of `what`."""
        try:
            return work(*arguments)
        except ValueError as error:
            self.problems.append(f"{what}{error}")
            return None

    def _check_model(self, source: Source) -> None:
        config = self.config
        found = locate("model", config.model["_target_"])
        if missing := found.requires - source.spec.provides:
            fitting = [*_datasets_that_provide(found.requires)]
            if "pairs" in missing:
                fitting.append(f"any images with dataset.pair={'|'.join(PAIRS)}")
            elif config.dataset.get("pair"):
                fitting.insert(0, "this one with dataset.pair=null")
            hint = f"{source.labels_hint}; " if source.labels_hint and "label" in missing else ""
            self.problems.append(
                f"model {found.__name__} requires {', '.join(sorted(missing))}, but this dataset provides "
                f"{', '.join(sorted(source.spec.provides))}; {hint}datasets that fit: {', '.join(fitting)}"
            )
            return
        kinds = {source.spec[domain].kind for domain in source.spec.domains}
        if unable := sorted(kinds - found.kinds):
            able = ", ".join(models_of_kinds(kinds))
            self.problems.append(
                f"model={config.choices.model}: models {', '.join(sorted(found.kinds))}, but "
                f"dataset={config.choices.dataset} holds {', '.join(unable)}; models that fit: {able}"
            )
            return
        if "labelled" in source.spec and "labelled" not in found.reads:
            self.problems.append(
                f"dataset.num_labels={config.dataset['num_labels']}: model={config.choices.model} uses all labels or "
                "none; leave it out, or choose model=sgan"
            )
            return
        model = self._try(build_on_meta, config, source.spec)
        if model is None:
            return
        if broken := list(broken_rules(model)):
            self.problems += broken
            return
        self._try(check_size, model)
        if problem := batch_norm_problem(config, model, source.spec):
            self.problems.append(problem)
        processes = int(os.environ.get("WORLD_SIZE", config.device.processes))  # torchrun's, if it started this one
        share = config.trainer.batch_size // processes
        if wrong := [rows for rows in (share, min(config.device.micro_batch or share, share)) if rows % model.pack]:
            self.problems.append(
                f"model.pack={model.pack}: reads as many examples at once, and {wrong[0]} are no multiple of that; "
                f"change {'trainer.batch_size' if share % model.pack else 'device.micro_batch'}"
            )
        if hasattr(model, "example_weights") and processes > 1:
            name = type(model).__name__
            self.problems.append(f"device.processes={processes}: {name} weights its examples, which needs one process")
        if hasattr(model, "example_weights") and len(source.spec.domains) > 1 and not source.spec.paired:
            self.problems.append(f"model={config.choices.model}: weights its examples, which needs one table of them")
        if "optimizer" not in self.bad:
            self._check_optimizers(model)
        metric = config.trainer.early_stop_metric
        if metric and metric not in model.metrics:
            self.problems.append(f"trainer.early_stop_metric={metric}: {did_you_mean(metric, model.metrics)}")
        self.problems += self._ranking_problems(model)

    def _ranking_problems(self, model: GenerativeModel) -> Iterator[str]:
        known = {"validation": list(model.metrics)}
        if self.config.trainer.evaluate_every:
            asked = self.config.evaluation.metrics
            if problems := [f"evaluation.{line}" for line in unknown(asked or ())]:
                yield from problems
            else:
                known["evaluation"] = [name for name, direction in directions_of(asked).items() if direction]
        for key, metric in self.ranking.items():
            kind, _, name = metric.partition("/")
            if kind in known and name not in known[kind]:
                yield f"{key}={metric}: {did_you_mean(name, known[kind])}"

    def _check_optimizers(self, model: GenerativeModel) -> None:
        before = len(self.problems)
        for player in self.config.optimizer["players"]:
            if player not in (players := list(model.players())):
                hint = did_you_mean(player, players)
                self.problems.append(f"optimizer.players.{player}: {type(model).__name__} has no such player; {hint}")
                continue
            settings = player_settings(self.config, player)
            if found := self._try(locate, "optimizer", settings.pop("_target_")):
                self.problems += mismatches(f"optimizer.players.{player}", found, settings, {"params"})
        if len(self.problems) == before:  # there is no fused kernel for the meta device
            self._try(build_optimizers, self.config, model, False, what="optimizer: ")


def _datasets_that_provide(fields: frozenset[str]) -> Iterator[str]:
    """Names of datasets that provide `fields` by default, or may provide them, depending on the user's files."""
    for name in options("dataset"):
        try:
            if fields <= usual_spec(name).provides:
                yield name
        except plugins.Broken:
            continue
        except ValueError:  # it needs the user's files
            if fields <= class_of("dataset", name).may_provide:
                yield f"{name} (if your files do)"


def _folder_problems(folder: RunFolder, output_dir: str) -> Iterator[str]:
    if folder.holds_run:
        yield (
            f"{folder}: holds a run already; continue it by {shell_line('genlab', 'resume', f'run={folder}')}, "
            "or leave hydra.run.dir out to get a new folder"
        )
    elif SweepFolder(folder.path).holds_sweep:
        yield f"hydra.run.dir={folder}: holds a sweep; choose another folder"
    elif place := not_writable(folder.path):
        inside = folder.path.is_relative_to(os.path.expanduser(output_dir))
        key = f"output_dir={output_dir}" if inside else f"hydra.run.dir={folder}"
        yield f"{key}: cannot write in {place}; choose another place, as in output_dir=/tmp/outputs"
