"""From checked configs to objects: the only caller of Hydra's `instantiate`."""

import inspect
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import optim

from genlab.config.check import locate
from genlab.data.source import Source
from genlab.data.spec import DataSpec
from genlab.models.base import GenerativeModel
from genlab.training.optimizers import eager
from genlab.training.schedule import Schedule


def _build(node: str, config: DictConfig, *arguments: Any, **settings: Any) -> Any:
    locate(node, config["_target_"])
    try:
        return instantiate(config, *arguments, _convert_="all", _recursive_=False, **settings)
    except InstantiationException as error:
        raise error.__cause__ or error from None  # the constructor's own message, without Hydra's frame around it


def build_source(config: DictConfig) -> Source:
    """The dataset that `config.dataset` asks for; nothing of it is read yet."""
    return _build("dataset", config.dataset)


def build_model(config: DictConfig, data: DataSpec) -> GenerativeModel:
    """The model that `config.model` asks for, shaped for `data`, with weights from torch's global generator."""
    return _build("model", config.model, data)


def build_schedule(config: DictConfig) -> Schedule:
    return _build("schedule", config.schedule)


def player_settings(config: DictConfig, player: str) -> dict[str, Any]:
    """The optimizer settings of one player: the common ones under its own."""
    settings = OmegaConf.to_container(config.optimizer, resolve=True)
    players = settings.pop("players")
    return {**settings, **(players.get(player) or {})}


def build_optimizers(config: DictConfig, model: GenerativeModel, fused: bool = True) -> dict[str, optim.Optimizer]:
    """One optimizer a player. The `fused` kernel is taken where there is one: the same update in a single call."""
    optimizers = {}
    for player, module in model.players().items():
        settings = player_settings(config, player)
        found = locate("optimizer", settings.pop("_target_"))
        if fused and "fused" in inspect.signature(found).parameters:
            settings = {"fused": True, **settings}
        optimizers[player] = eager(found)(list(module.parameters()), **settings)
    return optimizers
