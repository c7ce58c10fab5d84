"""What a model's recipe gives up when another network is chosen, and what it changes for the data.

A recipe (`configs/model/NAME.yaml`) chooses a network and its sizes, which do not fit the networks that a user may
choose instead. Its section `for_data` holds rules: settings that follow from the data, see `genlab.config.rules`.

They replace the recipe's own settings; those of an experiment and of the command line win over both. Hydra has no such
conditions, so a config is composed twice: first as asked for, then with the overrides that `adjustments` finds for it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from genlab.config.check import locate
from genlab.config.options import bases, own_content, read_option
from genlab.config.paths import groups
from genlab.config.rules import look, settings_for, unclear
from genlab.contract.settings import flattened


class _File:
    """A file of settings for the whole config.

    bases: the files that it rests on. choices: by group, its own and those of its bases. keys: the dotted keys that it
    sets.
    """

    def __init__(self, group: str, name: str):
        content = own_content(group, name)
        self.bases = [_File(group, base) for base in bases(content)]
        self.choices: dict[str, str] = {}
        for base in self.bases:
            self.choices |= base.choices
        for entry in content.pop("defaults", []):
            if isinstance(entry, dict):
                self.choices |= {key.removeprefix("override ").lstrip("/"): chosen for key, chosen in entry.items()}
        self.keys = {key for key, _ in flattened(content)}

    def __iter__(self) -> Iterator["_File"]:
        """The files that it rests on, from the ground up, and itself."""
        for base in self.bases:
            yield from base
        yield self


def adjustments(config: DictConfig, overrides: Sequence[Override]) -> list[str]:
    """Overrides to compose a training config with, before the user's own. config: composed of `overrides` alone, or of
    those among them that choose files; with Hydra's own node."""
    choices = config.hydra.runtime.choices
    recipe = _File("model", choices.model)
    asked = [_File(group, name) for group in ("experiment", "sweep") for name in _chosen(group, config, overrides)]
    given = {override.key_or_group for override in overrides}
    settled = given.union(*(part.choices.keys() | part.keys for file in asked for part in file))
    settings, of_data = _following(config)
    settings = _without_unwanted(settings, recipe, given)
    network = choices.network if "network" in settled else settings.get("network", choices.network)
    found = dict(_without_strange_sizes(network, [recipe, *asked], given))
    for key, value in settings.items():
        group = key.partition(".")[0]
        wanted = settings.get(group, recipe.choices.get(group))
        of_another = group in settled and wanted is not None and choices[group] != wanted
        if key not in settled and not of_another:
            found[key] = f"{key}={override_text(value)}"
    found |= {key: f"{key}={override_text(value)}" for key, value in of_data.items() if key not in settled}
    return [*found.values(), *(["for_data=null"] if config.for_data is not None else [])]


def may_follow(config: DictConfig, overrides: Sequence[Override]) -> bool:
    """Whether a key in `overrides` may be one of a file that only a rule brings."""
    rules = (config.for_data or {}).values()
    brought = {key for settings in rules for key in settings or () if key in groups()}
    return any(override.key_or_group.partition(".")[0] in brought for override in overrides)


def _chosen(group: str, config: DictConfig, overrides: Sequence[Override]) -> list[str]:
    """The files of a group: Hydra records a single one, and not the names of a list."""
    if name := config.hydra.runtime.choices.get(group):
        return [name]
    listed = [override.value() for override in overrides if override.key_or_group == group]
    return [str(name) for value in listed if isinstance(value, list) for name in value]


def _following(config: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that follow from the data by the recipe's rules, by dotted key or group, and the settings of the
    dataset that it found itself. `ValueError` if a rule's condition is none."""
    if not config.for_data:
        return {}, {}
    rules: Any = OmegaConf.to_container(config.for_data)
    try:
        data = look(config.dataset, rules)
        kinds = locate("model", config.model["_target_"]).kinds
    except (KeyError, TypeError, ValueError):  # no such dataset: reported when the request is checked
        return {}, {}
    if unknown := next(unclear(rules, kinds), None):
        raise ValueError(f"model={config.hydra.runtime.choices.model}: its recipe's {unknown}")
    return settings_for(rules, data.properties), {f"dataset.{key}": value for key, value in data.settled.items()}


def _without_unwanted(settings: dict[str, Any], recipe: _File, given: set[str]) -> dict[str, Any]:
    """The settings of rules without the files, and their keys, that lack a key in `given` which the recipe's own has:
    who sets `network.hidden` wants the network that has it."""
    for group in [key for key in settings if key in recipe.choices]:
        asked = {key.partition(".")[2] for key in given if key.startswith(f"{group}.")}
        if asked & read_option(group, recipe.choices[group]).keys() - read_option(group, settings[group]).keys():
            settings = {key: value for key, value in settings.items() if key.partition(".")[0] != group}
    return settings


def _without_strange_sizes(network: str | None, files: list[_File], given: set[str]) -> Iterator[tuple[str, str]]:
    """Key and override for each size in `files` that was meant for another network than the chosen one."""
    meant: str | None = None
    strange: set[str] = set()
    fitting = set(given)
    for file in (part for whole in files for part in whole):
        meant = file.choices.get("network", meant)
        sizes = {key for key in file.keys if key.startswith("network.")}
        (fitting if meant == network else strange).update(sizes)
    own = read_option("network", network) if network else {}
    for key in sorted(strange - fitting):
        name = key.partition(".")[2]
        yield key, f"{key}={override_text(own[name])}" if name in own else f"~{key}"


def override_text(value: Any) -> str:
    """A YAML value in the grammar of overrides."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{override_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(override_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else str(value)
