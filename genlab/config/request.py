"""Whether a composed training config can be carried out: everything that can be known before data is read."""

import os
from collections.abc import Iterator, Mapping
from inspect import signature
from math import prod
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from genlab import memory
from genlab.config.build import build_model, build_optimizers, build_schedule, build_source, player_settings
from genlab.config.check import locate, mismatches, problems_of, ranking_metrics
from genlab.config.compose import RequestError, did_you_mean, options
from genlab.config.paths import config_folder
from genlab.config.stranger import check_weights
from genlab.data.source import Source
from genlab.data.spec import DataSpec
from genlab.models.base import GenerativeModel
from genlab.sweeps.overview import SWEEP_FILE
from genlab.training import checkpoint
from genlab.training.device import resolve
from genlab.training.lock import holds_run

_SMALLER = "make it smaller, as in model.latent_dim=16, or the pictures, as in dataset.size=32"


def plain(config: DictConfig, choices: Mapping[str, str]) -> dict:
    """The resolved config as plain values, with the names chosen for it; what runs, checkpoints and workers carry."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    del values["sweep"]  # how its sweep goes on is not part of a run
    return {"choices": {group: choices[group] for group in ("model", "dataset")}, **values}


def check(config: DictConfig, folder: Path | None) -> None:
    """Raise `RequestError` with a line for each reason why `config` cannot train into `folder`; None: it has begun."""
    by_node = problems_of(config)
    problems = [line for lines in by_node.values() for line in lines]
    problems += _meaning(config, set(by_node), begins=folder is not None)
    problems += _folder_problems(folder) if folder else []
    if problems:
        raise RequestError(problems)


def _meaning(config: DictConfig, bad: set[str], begins: bool) -> Iterator[str]:
    """What only constructors know, for nodes that are not `bad` already."""
    if "device" not in bad:
        try:
            resolve(config.device.name, config.device.index)
        except ValueError as error:
            yield str(error)
    if "schedule" not in bad:
        try:
            build_schedule(config)
        except ValueError as error:
            yield str(error)
    if config.init_from and begins:
        try:
            check_weights(checkpoint.find(config.init_from)[1])
        except ValueError as error:
            yield f"init_from: {error}"
    if "dataset" in bad:
        return
    try:
        source = build_source(config)
    except ValueError as error:
        yield str(error)
        return
    batch, size = config.trainer.batch_size, source.sizes["train"]
    if "trainer" not in bad and batch > size:
        yield f"trainer.batch_size={batch}: larger than the dataset, which has {size} training examples"
    elif "trainer" not in bad:
        yield from _batch_problems(batch, source.spec)
    if "model" not in bad:
        yield from _model_problems(config, source, optimizer_is_known="optimizer" not in bad)


def _batch_problems(batch: int, data: DataSpec) -> Iterator[str]:
    try:
        memory.check(
            batch * prod(data.shape) * torch.get_default_dtype().itemsize,
            f"trainer.batch_size={batch}: a batch needs",
            "make it smaller, or the pictures, as in dataset.size=64",
        )
    except ValueError as error:
        yield str(error)


def sketch(config: DictConfig, data: DataSpec) -> GenerativeModel:
    """The model on the meta device: names and shapes without memory."""
    try:
        with torch.device("meta"):
            return build_model(config, data)
    except RuntimeError as error:  # more weights than torch counts
        raise ValueError(f"model: cannot be built ({str(error).splitlines()[0]}); {_SMALLER}") from error


def check_size(model: GenerativeModel) -> None:
    """`ValueError` where this machine cannot hold the parameters and buffers of a model."""
    tensors = (*model.parameters(), *model.buffers())
    memory.check(sum(tensor.nbytes for tensor in tensors), "model: its weights need", _SMALLER)


def _model_problems(config: DictConfig, source: Source, optimizer_is_known: bool) -> Iterator[str]:
    found = locate("model", config.model._target_)
    if missing := found.requires - source.spec.provides:
        fitting = ", ".join(_datasets_that_provide(found.requires))
        yield (
            f"model {found.__name__} requires {', '.join(sorted(missing))}, but this dataset provides "
            f"{', '.join(sorted(source.spec.provides))}; datasets that fit: {fitting}"
        )
        return
    try:
        model = sketch(config, source.spec)
    except ValueError as error:
        yield str(error)
        return
    try:
        check_size(model)
    except ValueError as error:
        yield str(error)
    if optimizer_is_known:
        yield from _player_problems(config, model)
    if config.device.cuda_graph and optimizer_is_known:
        yield from _graph_problems(config, model)
    metric = config.trainer.early_stop_metric
    if metric and metric not in model.metrics:
        yield f"trainer.early_stop_metric={metric}: {did_you_mean(metric, list(model.metrics))}"
    if config.trainer.evaluate_every:
        yield from _evaluation_problems(config)
    for key, ranking in ranking_metrics(config).items():
        name = ranking.removeprefix("validation/")
        if "/" not in name and name not in model.metrics:
            yield f"{key}=validation/{name}: {did_you_mean(name, list(model.metrics))}"


def _graph_problems(config: DictConfig, model: GenerativeModel) -> Iterator[str]:
    device = config.device
    if device.name not in ("cuda", "auto") or not torch.cuda.is_available():
        yield "device.cuda_graph=true: needs an NVIDIA GPU; give device=cuda on a machine that has one"
    for key, plain in (("processes", 1), ("micro_batch", None)):
        if device[key] != plain:
            yield f"device.cuda_graph=true: goes with device.{key}={'null' if plain is None else plain} only"
    for player in model.players():
        found = locate("optimizer", player_settings(config, player)["_target_"])
        if "capturable" not in signature(found).parameters:
            yield f"device.cuda_graph=true: {found.__name__} of {player} cannot be captured; take optimizer=adam"
    if device.precision == "fp16":
        yield "device.cuda_graph=true: the loss scale of fp16 changes from step to step; give device.precision=bf16"
    if model.step_kind(0) is None:
        yield f"device.cuda_graph=true: no two steps of {type(model).__name__} with these settings are alike; leave it"


def _evaluation_problems(config: DictConfig) -> Iterator[str]:
    from genlab.evaluation.evaluate import figures_of, unknown  # scikit-learn takes a second to import

    asked = config.evaluation.metrics
    problems = [f"evaluation.{line}" for line in unknown(asked or ())]
    yield from problems
    for key, metric in ranking_metrics(config).items() if not problems else ():
        kind, _, name = metric.partition("/")
        ranking = [figure for figure, best in figures_of(asked).items() if best]
        if kind == "evaluation" and name not in ranking:
            yield f"{key}={metric}: {did_you_mean(name, ranking)}"


def _player_problems(config: DictConfig, model: GenerativeModel) -> Iterator[str]:
    problems = list(_player_setting_problems(config, model))
    yield from problems
    if not problems:
        try:
            build_optimizers(config, model, fused=False)  # there is no fused kernel for the meta device
        except ValueError as error:
            yield f"optimizer: {error}"


def _player_setting_problems(config: DictConfig, model: GenerativeModel) -> Iterator[str]:
    players = list(model.players())
    for player in config.optimizer.players:
        if player not in players:
            hint = did_you_mean(player, players)
            yield f"optimizer.players.{player}: {type(model).__name__} has no such player; {hint}"
            continue
        settings = player_settings(config, player)
        try:
            found = locate("optimizer", settings.pop("_target_"))
        except ValueError as error:
            yield str(error)
            continue
        yield from mismatches(f"optimizer.players.{player}", found, settings, {"params"})


def _datasets_that_provide(fields: frozenset[str]) -> Iterator[str]:
    """Names of datasets whose defaults provide `fields`, and those that may, depending on the user's files."""
    for name in options("dataset"):
        node = OmegaConf.load(config_folder() / "dataset" / f"{name}.yaml")
        config = OmegaConf.create({"seed": 0, "data_dir": "data", "dataset": node})
        try:
            if fields <= build_source(config).spec.provides:
                yield name
        except ValueError:  # it needs files to be named
            if fields <= locate("dataset", node._target_).may_provide:
                yield f"{name} (if your files do)"


def _folder_problems(folder: Path) -> Iterator[str]:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if holds_run(folder):
        yield (
            f"{folder}: holds a run already; go on with it by genlab resume run={folder}, "
            "or leave hydra.run.dir out to get a new folder"
        )
    elif (folder / SWEEP_FILE).exists():
        yield f"hydra.run.dir={folder}: holds a sweep; choose another folder"
    elif not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield f"{folder}: cannot write in {existing}; choose another place, as in output_dir=/tmp/outputs"
