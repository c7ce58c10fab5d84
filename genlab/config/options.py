"""The choices of each config group, and the content of their files."""

from collections.abc import Collection
from typing import Any

from omegaconf import OmegaConf

from genlab.config.check import locate
from genlab.config.paths import config_folder, options


def read_option(group: str, name: str) -> dict[str, Any]:
    """The content of a choice's file, with interpolations unresolved."""
    content: Any = OmegaConf.to_container(OmegaConf.load(config_folder() / group / f"{name}.yaml"))
    return content


def dataset_defaults(name: str, seed: int = 0, data_dir: str = "data") -> dict[str, Any]:
    """The settings of `dataset=NAME`."""
    whole = OmegaConf.create({"seed": seed, "data_dir": data_dir, "dataset": read_option("dataset", name)})
    settings: Any = OmegaConf.to_container(whole.dataset, resolve=True, throw_on_missing=True)
    return settings


def model_classes() -> dict[str, Any]:
    """The classes of all models, by name."""
    return {name: locate("model", read_option("model", name)["model"]["_target_"]) for name in options("model")}


def models_that_can(*capabilities: str) -> list[str]:
    """Names of the models with all these capabilities."""
    return [name for name, model in model_classes().items() if all(hasattr(model, word) for word in capabilities)]


def models_of_kinds(kinds: Collection[str]) -> list[str]:
    """Names of the models that can model all these kinds of data."""
    return [name for name, model in model_classes().items() if model.kinds >= set(kinds)]
