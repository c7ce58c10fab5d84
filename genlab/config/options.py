"""The choices of each config group, and the content of their files."""

import copy
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from genlab.config.check import locate
from genlab.config.paths import config_file, options, owner_of, refused_folders
from genlab.contract.settings import CLASS_NODES
from genlab.system.plugins import Broken, blamed
from genlab.system.text import did_you_mean


def read_option(group: str, name: str) -> dict[str, Any]:
    """The content of a choice's file and of those it rests on, with interpolations unresolved. Errors as of
    `own_content`."""
    content = own_content(group, name)
    return _merged(*(read_option(group, base) for base in bases(content)), content)


def bases(content: Mapping[str, Any]) -> list[str]:
    """The choices of the same group that the content of a file rests on."""
    return [entry for entry in content.get("defaults", []) if isinstance(entry, str) and entry != "_self_"]


def own_content(group: str, name: str) -> dict[str, Any]:
    """The content of a choice's file. `ValueError` if it holds no settings, `Broken` if it is a plugin's."""
    file = config_file(f"{group}/{name}.yaml")
    plugin = owner_of(file)
    with blamed(plugin, f"has an invalid configs/{group}/{name}.yaml"):
        content: Any = copy.deepcopy(_content(file, file.stat().st_mtime_ns))
    if not isinstance(content, dict) or not content:
        problem = f"configs/{group}/{name}.yaml: holds no settings"
        raise Broken(f"{plugin}: its {problem}") if plugin else ValueError(problem)
    return content


def _merged(*contents: dict[str, Any]) -> dict[str, Any]:
    """Nested settings, of which later ones win."""
    found: dict[str, Any] = {}
    for content in contents:
        for key, value in content.items():
            nested = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = _merged(found[key], value) if nested else value
    return found


@cache
def _content(file: Path, written: int) -> Any:
    """Kept, as the files of all models are read again for each question about them."""
    return OmegaConf.to_container(OmegaConf.load(file))


def option_of(group: str, target: str) -> str | None:
    """The choice of a group that names the class `target`."""
    for name in options(group):
        with suppress(ValueError):  # a plugin's file that cannot be read
            if read_option(group, name).get("_target_") == target:
                return name
    return None


def option_problem(group: str, name: Any) -> str | None:
    """Why the choice `name` of a group cannot be taken, None if it can."""
    if name in options(group):
        try:
            read_option(group, name)
        except ValueError as error:
            return str(error)
        return None
    reasons = (reason for folder, reason in refused_folders().items() if (folder / group / f"{name}.yaml").is_file())
    return next(reasons, f"no such {group}; {did_you_mean(str(name), options(group))}")


def without_class(values: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[str]:
    """A line for each file of a plugin, among the `choices` of a composed config, that brings no class."""
    for group in CLASS_NODES:
        plugin = owner_of(config_file(f"{group}/{choices.get(group)}.yaml"))
        if plugin and not (values.get(group) or {}).get("_target_"):
            yield f"{plugin}: its configs/{group}/{choices[group]}.yaml names no class by _target_"


def yaml_problem(error: MarkedYAMLError) -> str:
    """Which file cannot be read and whose it is, in one line."""
    plugin = owner_of(Path(error.problem_mark.name)) if error.problem_mark else None
    return " ".join(f"{f'{plugin}: ' if plugin else ''}{error}".split())


def summary_of(group: str, name: str) -> str:
    """What a choice is, in a sentence: the comment that begins its file, or else the docstring of its class."""
    lines = config_file(f"{group}/{name}.yaml").read_text(encoding="utf-8").splitlines()
    lines = lines[1:] if lines[:1] and lines[0].startswith("# @package") else lines
    comment = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
    text = comment or inspect.getdoc(class_of(group, name)) or ""
    sentence = re.split(r"(?<!et al)\.\s|\n\n", text, maxsplit=1)[0]
    return " ".join(sentence.split()).rstrip(".")


def class_of(group: str, name: str) -> Any:
    """The class that a choice names. `ValueError` if it cannot be imported, `Broken` if it is a plugin's."""
    content = read_option(group, name)
    node = content.get(group, content)
    plugin = owner_of(config_file(f"{group}/{name}.yaml"))
    try:
        if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
            raise ValueError("names no class by _target_")
        return locate(group, node["_target_"])
    except ValueError as error:
        if plugin is None or isinstance(error, Broken):
            raise
        raise Broken(f"{plugin}: its configs/{group}/{name}.yaml: {error}") from error


def dataset_defaults(name: str, seed: int = 0, data_dir: str = "data") -> dict[str, Any]:
    """The settings of `dataset=NAME`."""
    whole = OmegaConf.create({"seed": seed, "data_dir": data_dir, "dataset": read_option("dataset", name)})
    try:
        settings: Any = OmegaConf.to_container(whole.dataset, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:  # a setting that the user must give
        raise ValueError(f"dataset={name}: {str(error).splitlines()[0]}") from error
    return settings


def usual_spec(name: str) -> Any:
    """The `DataSpec` of `dataset=NAME`. `ValueError` if it needs the user's files, `Broken` if its plugin fails."""
    from genlab.config.build import build_source  # imports torch

    class_of("dataset", name)
    with blamed(owner_of(config_file(f"dataset/{name}.yaml")), f"fails to build dataset={name}"):
        return build_source(dataset_defaults(name)).spec


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
    fitting = ((name, model.kinds, model.requires) for name, model in model_classes().items())
    return [name for name, able, requires in fitting if able >= set(kinds) and requires <= set(provided)]
