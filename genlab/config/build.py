"""Build objects from a checked config."""

import inspect
from dataclasses import replace
from typing import Any

import torch
from torch import optim

from genlab.config.check import locate, settings_of
from genlab.contract.data import DataSpec
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import EVERY_DATASET, RunConfig
from genlab.data.binarized import Binarized
from genlab.data.few_labels import FewLabels
from genlab.data.pairs import Paired
from genlab.data.some_classes import SomeClasses
from genlab.data.source import Source
from genlab.system import memory
from genlab.system.optimizers import eager

_SMALLER = "make it smaller, as in model.latent_dim=16, or the images, as in dataset.size=32"


def _build(node: str, values: dict[str, Any], *arguments: Any, **supplied: Any) -> Any:
    settings = {key: value for key, value in values.items() if key != "_target_"}
    return locate(node, values["_target_"])(*arguments, **settings, **supplied)


def build_source(dataset: dict[str, Any]) -> Source:
    """The dataset that the node `dataset` describes; no data is read yet."""
    source: Source = _build("dataset", {key: value for key, value in dataset.items() if key not in EVERY_DATASET})
    if (found := source.spec[source.spec.domains[0]].kind) != source.kind:
        raise ValueError(
            f"dataset: {type(source).__name__} says kind={source.kind!r}, but holds {found}; set its `kind`"
        )
    chosen = {key: dataset[key] for key in ("only", "without") if dataset.get(key) is not None}
    if len(chosen) == 2:
        raise ValueError("dataset.only, dataset.without: give one of the two")
    for key, classes in chosen.items():
        source = SomeClasses(source, key, classes)
    pair, binarize = dataset.get("pair"), dataset.get("binarize", "none")
    if (labels := dataset.get("num_labels")) is not None:
        source = FewLabels(source, labels, dataset.get("seed", 0))
    if pair:
        source = Paired(source, pair, dataset.get("seed", 0))
    if binarize != "none":
        source = Binarized(source, binarize, dataset.get("seed", 0))
    source.spec = replace(source.spec, num_examples=source.sizes["train"])
    return source


def build_model(config: RunConfig, data: DataSpec) -> GenerativeModel:
    """The model that `config.model` describes, of the network `config.network` if it takes one, shaped for `data`;
    weights are drawn from torch's global generator."""
    parts = {"network": _build("network", config.network)} if config.network is not None else {}
    return _build("model", config.model, data, **parts)


def build_on_meta(config: RunConfig, data: DataSpec) -> GenerativeModel:
    """The model on the meta device: names and shapes without memory. `ValueError` if it is too large to be built."""
    try:
        with torch.device("meta"):
            return build_model(config, data)
    except RuntimeError as error:  # more weights than torch can count
        raise ValueError(f"model: cannot be built ({str(error).splitlines()[0]}); {_SMALLER}") from error


def check_size(model: GenerativeModel) -> None:
    """`ValueError` if this machine cannot hold the parameters and buffers of a model."""
    tensors = (*model.parameters(), *model.buffers())
    memory.check(sum(tensor.nbytes for tensor in tensors), "model: its weights need", _SMALLER)


def build_schedule(config: RunConfig) -> Any:
    """The `Schedule` that `config.schedule` describes."""
    return _build("schedule", config.schedule)


def build_callbacks(config: RunConfig, run: Any) -> list[Any]:
    """The callbacks of plugins that `config.callbacks` describes. run: the `RunRecord` of those that take one."""
    found = []
    for name, values in (config.callbacks or {}).items():
        parameters, _ = settings_of(locate("callbacks", values["_target_"]))
        callback = _build("callbacks", values, **({"run": run} if "run" in parameters else {}))
        callback.key = f"callbacks.{name}"  # unlike those of GenLab's own in checkpoints
        found.append(callback)
    return found


def player_settings(config: RunConfig, player: str) -> dict[str, Any]:
    """The optimizer settings of one player: its own override the common ones."""
    common = {key: value for key, value in config.optimizer.items() if key != "players"}
    return {**common, **(config.optimizer["players"].get(player) or {})}


def build_optimizers(config: RunConfig, model: GenerativeModel, fused: bool = True) -> dict[str, optim.Optimizer]:
    """One optimizer per player, with the `fused` kernel if there is one: the same update in a single call."""
    optimizers = {}
    for player, module in model.players().items():
        settings = player_settings(config, player)
        found = locate("optimizer", settings.pop("_target_"))
        if fused and "fused" in inspect.signature(found).parameters:
            settings = {"fused": True, **settings}
        optimizers[player] = eager(found)(list(module.parameters()), **settings)
    return optimizers
