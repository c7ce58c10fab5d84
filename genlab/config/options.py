"""The choices of each config group, and the content of their files."""

from typing import Any

from omegaconf import OmegaConf

from genlab.config.check import locate
from genlab.config.paths import config_folder, options


def read_option(group: str, name: str) -> dict[str, Any]:
    """The content of a choice's file, with interpolations unresolved."""
    content = OmegaConf.to_container(OmegaConf.load(config_folder() / group / f"{name}.yaml"))
    assert isinstance(content, dict), "a config file is a mapping"
    return {str(key): value for key, value in content.items()}


def dataset_defaults(name: str, seed: int = 0, data_dir: str = "data") -> dict[str, Any]:
    """The settings of `dataset=NAME`."""
    whole = OmegaConf.create({"seed": seed, "data_dir": data_dir, "dataset": read_option("dataset", name)})
    return plain_dict(whole.dataset)


def plain_dict(node: Any) -> dict[str, Any]:
    """A config node as resolved plain values."""
    values = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict), "a node of settings is a mapping"
    return {str(key): value for key, value in values.items()}


def target_of(model: str) -> str:
    """The class of `model=NAME`."""
    return read_option("model", model)["model"]["_target_"]


def models_that_can(*capabilities: str) -> list[str]:
    """Names of the models with all these capabilities."""
    found = {name: locate("model", target_of(name)) for name in options("model")}
    return [name for name, model in found.items() if all(hasattr(model, word) for word in capabilities)]
