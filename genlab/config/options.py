"""The choices of each config group, and the content of their files."""

import inspect
import re
from collections.abc import Iterator
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


def models_that_can(*capabilities: str) -> list[str]:
    """Names of the models with all these capabilities."""
    return [name for name, model in _models() if all(hasattr(model, word) for word in capabilities)]


def _models() -> Iterator[tuple[str, Any]]:
    for name in options("model"):
        with suppress(Broken):  # a plugin that cannot be imported has no models
            yield name, class_of("model", name)
