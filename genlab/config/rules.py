"""The rules of a recipe: settings that follow from the data, unless something else is asked for.

They are the recipe's section `for_data`: dotted keys or choices of files, under a condition on the data, as in

    for_data:
      points: {network: mlp, network.hidden: [256, 256, 256], trainer.max_steps: 5000}
      channels=3 or side>=48: {network: conv, model.likelihood: gaussian-learned}

A condition is a kind of data, or compares one of `PROPERTIES` with a whole number by =, >= or <. Of terms side by side
all must be true, of those around an `or` one. Where several rules hold, later ones win.
"""

import operator
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genlab.config.check import locate, problems_of_node, with_whole_settings
from genlab.config.options import read_option
from genlab.config.paths import groups, options
from genlab.contract.settings import EVERY_DATASET, RunConfig, flattened, lookup
from genlab.system.text import did_you_mean

PROPERTIES = ("channels", "side", "levels", "examples")
"""Of images: channels, the shorter side in pixels, and the values that a pixel can have, 2 if it is black or white.
Number of training examples."""

_COMPARED = re.compile(r"(\w+)(=|>=|<)(\d+)")
_SIGNS = {"=": operator.eq, ">=": operator.ge, "<": operator.lt}


class Look(NamedTuple):
    """What is known of the data before training. properties: "kind", and those of `PROPERTIES` that are known. settled:
    settings of the dataset that it found itself, by name."""

    properties: dict[str, Any]
    settled: Mapping[str, Any]


def look(dataset: Any, rules: Mapping[str, Any]) -> Look:
    """A look at the data of the node `dataset`, at its settings and headers alone; only at its class if the `rules` ask
    for nothing but the kind, or if it cannot be built, which is reported when the request is checked. `ValueError` if
    there is no such class."""
    found = locate("dataset", dataset["_target_"])
    known = Look({"kind": found.kind}, {})
    if found.kind != "image" or not any(_COMPARED.search(condition) for condition in rules):
        return known
    try:
        settings: Any = OmegaConf.to_container(dataset, resolve=True, throw_on_missing=True)
        settings = with_whole_settings("dataset", settings)
        if problems_of_node("dataset", settings):
            return known
        given = {key: value for key, value in settings.items() if key not in ("_target_", *EVERY_DATASET)}
        quick = {"skip_damaged": False} if "skip_damaged" in given else {}  # true decodes all images
        source = found(**given | quick)
    except (OmegaConfBaseException, ValueError, OSError):
        return known
    binary = {"levels": 2} if settings.get("binarize", "none") != "none" else {}
    return Look(properties_of(source) | binary, source.settled)


def properties_of(source: Any) -> dict[str, Any]:
    """The kind of the modelled fields of a dataset, and its `PROPERTIES`."""
    fields = [source.spec[name] for name in source.spec.domains]
    found = {"kind": fields[0].kind, "examples": source.sizes["train"]}
    if found["kind"] == "image":
        found |= {"channels": max(field.shape[0] for field in fields), "side": min(fields[0].shape[1:])}
        found |= {"levels": fields[0].levels or 256}
    return found


def holds(condition: str, properties: Mapping[str, Any]) -> bool:
    """Whether a rule's condition is true of data with these properties."""
    return any(all(_is_true(term, properties) for term in terms) for terms in _alternatives(condition))


def _alternatives(condition: str) -> list[list[str]]:
    return [terms.split() for terms in condition.split(" or ")]


def _is_true(term: str, properties: Mapping[str, Any]) -> bool:
    if not (compared := _COMPARED.fullmatch(term)):
        return properties["kind"] == term
    name, sign, number = compared.groups()
    return name in properties and _SIGNS[sign](properties[name], int(number))


def unclear(rules: Mapping[str, Any], kinds: frozenset[str]) -> Iterator[str]:
    """A text for each condition that is none, of a model of these `kinds` of data; null drops a rule of a recipe that
    this one rests on."""
    for condition in (condition for condition, settings in rules.items() if settings is not None):
        for term in (term for terms in _alternatives(condition) for term in terms):
            compared = _COMPARED.fullmatch(term)
            known, word = (PROPERTIES, compared[1]) if compared else (sorted(kinds), term)
            if word not in known:
                yield f"for_data.{condition}: {did_you_mean(word, known)}; null drops the rule"


def settings_for(rules: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all rules that hold, by dotted key or group. A rule that chooses a file drops earlier rules'
    settings of its group, which were meant for another."""
    found: dict[str, Any] = {}
    for condition, settings in rules.items():
        if settings and holds(condition, properties):
            chosen = tuple(f"{group}." for group in settings if group in groups())
            found = {key: value for key, value in found.items() if not key.startswith(chosen)}
            found |= dict(flattened(settings))
    return found


def rules_of(model: str) -> dict[str, dict[str, Any]]:
    """The rules of a recipe, with those of the recipe that it rests on."""
    rules = read_option("model", model).get("for_data") or {}
    return {condition: settings for condition, settings in rules.items() if settings is not None}


def followed(config: RunConfig, source: Any) -> str | None:
    """A line on the settings of a run that follow from its data by the rules of its recipe; None if there are none."""
    known = config.choices.model in options("model")  # a resumed run may be older than the names
    settings = settings_for(rules_of(config.choices.model), properties_of(source)) if known else {}
    own = [f"{key}={value}" for key, value in settings.items() if _is_set(config, key, value)]
    return f"recipe: the data ({source.spec}) lead to {', '.join(own)}" if own else None


def _is_set(config: RunConfig, key: str, value: Any) -> bool:
    """Whether a run has the value of a rule, and not another that was asked for."""
    if key in groups():
        return lookup(config, f"{key}._target_") == read_option(key, value)["_target_"]
    return lookup(config, key) == value
