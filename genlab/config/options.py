"""The choices of each config group, and the content of their files."""

import inspect
import re
from collections.abc import Collection
from contextlib import suppress
from itertools import takewhile
from typing import Any

from omegaconf import OmegaConf

from genlab.config.check import locate
from genlab.config.paths import config_file, options
from genlab.system.plugins import Broken


def read_option(group: str, name: str) -> dict[str, Any]:
    """The content of a choice's file, with interpolations unresolved."""
    content: Any = OmegaConf.to_container(OmegaConf.load(config_file(f"{group}/{name}.yaml")))
    return content


def summary_of(group: str, name: str) -> str:
    """What a choice is, in a sentence: the comment that begins its file, or else the docstring of its class."""
    lines = config_file(f"{group}/{name}.yaml").read_text().splitlines()
    lines = lines[1:] if lines[0].startswith("# @package") else lines
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
    text = comment or inspect.getdoc(class_of(group, name)) or ""
    sentence = re.split(r"(?<!et al)\.\s|\n\n", text, maxsplit=1)[0]
    return " ".join(sentence.split()).rstrip(".")


def class_of(group: str, name: str) -> Any:
    """The class that a choice names. `ValueError` if it cannot be imported."""
    content = read_option(group, name)
    return locate(group, content.get(group, content)["_target_"])


def dataset_defaults(name: str, seed: int = 0, data_dir: str = "data") -> dict[str, Any]:
    """The settings of `dataset=NAME`."""
    whole = OmegaConf.create({"seed": seed, "data_dir": data_dir, "dataset": read_option("dataset", name)})
    settings: Any = OmegaConf.to_container(whole.dataset, resolve=True, throw_on_missing=True)
    return settings


def model_classes() -> dict[str, Any]:
    """The classes of all models, by name. A plugin that cannot be imported has no models."""
    found = {}
    for name in options("model"):
        with suppress(Broken):
            found[name] = class_of("model", name)
    return found


def models_that_can(*capabilities: str) -> list[str]:
    """Names of the models with all these capabilities."""
    return [name for name, model in model_classes().items() if all(hasattr(model, word) for word in capabilities)]


def models_of_kinds(kinds: Collection[str]) -> list[str]:
    """Names of the models that can model all these kinds of data."""
    return [name for name, model in model_classes().items() if model.kinds >= set(kinds)]


def models_that_fit(provided: Collection[str], kinds: Collection[str]) -> list[str]:
    """Names of the models that can train on data with these fields, of these kinds."""
    able = models_of_kinds(kinds)
    return [name for name, model in model_classes().items() if name in able and model.requires <= set(provided)]
