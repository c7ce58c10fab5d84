"""From a command line to typed settings: composed by Hydra, with all mistakes reported at once."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from genlab.config.check import with_whole_settings
from genlab.config.commands import COMMANDS, NO_DATASET, ignored_device_keys
from genlab.config.hints import fits, hint_of, is_wrong, misfit, missing_part
from genlab.config.options import option_problem, without_class, yaml_problem
from genlab.config.paths import config_folder, groups, options
from genlab.config.places import usual_data_dir, with_homes
from genlab.config.plugins import register_plugin_configs
from genlab.config.reading import RequestError, parse
from genlab.config.recipes import adjustments, may_follow
from genlab.config.renamed import MOVED_KEYS
from genlab.config.unsupported import several_values, unsupported, with_open_groups
from genlab.contract.settings import CLASS_NODES, LISTED_GROUPS, RunConfig, SweepConfig, flattened, typed

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, MarkedYAMLError, OSError, ValueError)
"""Raised by composition on a mistake; OSError and YAML's if a file holds no settings, ValueError if a group is set to a
number."""


@dataclass
class Composed:
    """One composed config as plain values, with information from Hydra's own node.

    choices: chosen file by config group. folder: the run folder it would get. adjusted: the overrides that its recipe
    adds, see `genlab.config.recipes`.
    """

    values: dict[str, Any]
    choices: dict[str, str]
    folder: Path
    adjusted: list[str]


@dataclass
class Job:
    """A run to train, its folder, and the settings of its sweep."""

    config: RunConfig
    sweep: SweepConfig
    folder: Path


def register() -> None:
    """Register schemas and plugins with Hydra, and the resolvers of the configs with OmegaConf."""
    register_plugin_configs()
    _register_schemas()
    # Cached per composition: a folder name is resolved several times and must not change.
    OmegaConf.register_new_resolver("genlab.suffix", lambda: os.urandom(2).hex(), use_cache=True, replace=True)
    OmegaConf.register_new_resolver("genlab.data_dir", usual_data_dir, replace=True)
    OmegaConf.register_new_resolver("genlab.either", lambda asked, yes, no: yes if asked else no, replace=True)
    OmegaConf.register_new_resolver("genlab.bf16_where_fast", _bf16_where_fast, use_cache=True, replace=True)


@cache
def _register_schemas() -> None:
    for name, command in COMMANDS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=command.schema)


def _bf16_where_fast(device: str) -> str:
    """Default precision of networks that train as well in bf16: bf16 if the device has units for it, else fp32."""
    from genlab.system.device import multiplies_bf16, resolve  # imports torch, which takes a second

    try:
        return "bf16" if multiplies_bf16(resolve(device)) else "fp32"
    except (ValueError, RuntimeError):  # no such device: reported when the request is checked
        return "fp32"


@contextmanager
def composing() -> Iterator[None]:
    """Initialise Hydra with GenLab's configs inside the block; afterwards the Hydra around it, if any, is back."""
    around = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = around


def compose_command(command: str, overrides: Sequence[str]) -> Composed:
    """Compose a command's `overrides`. `RequestError` with all problems that composition can detect."""
    overrides = with_open_groups(command, overrides)
    if sweeps := [override for override in parse(overrides) if override.is_sweep_override()]:
        raise RequestError([several_values(command, override, overrides) for override in sweeps])
    if command != "train" and hint_of(COMMANDS[command].schema, "dataset"):  # null is its default, but no file's name
        overrides = [text for text in overrides if text != "dataset=null"]
    with composing():
        return compose_or_explain(command, overrides)


def compose_job(overrides: Sequence[str]) -> Job:
    """The run of `genlab train OVERRIDES`; `RequestError` as above."""
    return as_job(compose_command("train", overrides))


def as_job(composed: Composed) -> Job:
    return Job(*run_config(composed.values, composed.choices), composed.folder)


def run_config(values: dict[str, Any], choices: Mapping[str, str]) -> tuple[RunConfig, SweepConfig]:
    """The typed settings of a composed training config, and its sweep settings, which are not part of a run."""
    values = {"choices": {group: choices[group] for group in ("model", "dataset")}, **values}
    values |= {node: with_whole_settings(node, values[node]) for node in CLASS_NODES}
    sweep = typed(SweepConfig, values.pop("sweep"))
    values.pop("for_data")
    return typed(RunConfig, values), sweep


def compose_or_explain(command: str, overrides: Sequence[str], job: int | None = None) -> Composed:
    """One config, inside `composing`; `RequestError` with a line for each invalid override. job: number in a sweep."""
    problems = dict(unsupported(command, parse(overrides)))
    composed = None
    while composed is None:
        good = [text for text in overrides if text not in problems]
        try:
            config, adjusted = _composed(command, good)
            above = config.hydra.run.dir if job is None else config.hydra.sweep.dir
            folder = Path(os.path.expanduser(above), *([] if job is None else [str(job)]))
            values = with_homes(COMMANDS[command].schema, plain(config))
            composed = Composed(values, dict(config.hydra.runtime.choices), folder, adjusted)
        except COMPOSITION_ERRORS as error:
            found = {} if isinstance(error, MarkedYAMLError) else dict(_explain(command, good))
            if not found:
                raise RequestError([*problems.values(), _first_line(error)]) from error
            problems |= found
    if lines := list(without_class(composed.values, composed.choices)):
        raise RequestError([*problems.values(), *lines])
    if problems:
        raise RequestError(list(problems.values()), composed)
    return composed


def _composed(command: str, overrides: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """The config of `overrides`, composed again with the adjustments of its recipe, if there are any; and those."""
    adjusted: list[str] = []
    try:
        config = compose(command, list(overrides), return_hydra_config=True)
        adjusted = adjustments(config, parse(overrides)) if command == "train" else []
    except COMPOSITION_ERRORS:  # a key may exist in the adjusted config only
        with suppress(*COMPOSITION_ERRORS):
            adjusted = _early_adjustments(command, overrides)
        if adjusted in ([], ["for_data=null"]):
            raise
    if adjusted == ["for_data=null"]:  # nothing that needs a second composition
        config.for_data = None
    elif adjusted:
        config = compose(command, [*adjusted, *overrides], return_hydra_config=True)
    return config, adjusted


def _early_adjustments(command: str, overrides: Sequence[str]) -> list[str]:
    """The adjustments that follow from choices of files and settings of the dataset; none if they cannot matter to the
    other overrides, as it takes a second to import the class of the data."""
    if command != "train":
        return []
    parsed = parse(overrides)
    chosen = [override.input_line for override in parsed if override.key_or_group in groups()]
    of_data = [override.input_line for override in parsed if override.key_or_group.startswith("dataset.")]
    try:
        config = compose(command, [*chosen, *of_data], return_hydra_config=True)
    except COMPOSITION_ERRORS:
        config = compose(command, chosen, return_hydra_config=True)
    return adjustments(config, parsed) if may_follow(config, parsed) else []


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed config as resolved plain values, without Hydra's own node."""
    own = {str(key): config[key] for key in config if key != "hydra"}
    return {
        key: OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if OmegaConf.is_config(value) else value
        for key, value in own.items()
    }


def _explain(command: str, overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each invalid override and why. Group choices are tried first: they determine which keys exist."""
    parsed = parse(overrides)
    known = compose(command, return_hydra_config=True).hydra.runtime.choices.keys() & set(groups())
    chosen = []
    for override in parsed:
        key = override.key_or_group
        if key not in known:
            continue
        # Null, lists and numbers are no choices either, except where several can be chosen.
        value = override.value()
        names = (value if isinstance(value, list) else [value] if value else []) if key in LISTED_GROUPS else [value]
        if problem := next(filter(None, (option_problem(key, name) for name in names)), None):
            yield override.input_line, f"{override.input_line}: {problem}"
        else:
            chosen.append(override.input_line)
    others = [override for override in parsed if override.key_or_group not in known]
    base = [*_early_adjustments(command, [*chosen, *(other.input_line for other in others)]), *chosen]
    reference = OmegaConf.to_container(compose(command, base))
    asked = [override for override in others if not override.key_or_group.startswith("hydra")]
    schema, hidden = COMMANDS[command].schema, ignored_device_keys(command)
    suspects = [override for override in asked if is_wrong(override, schema, reference, hidden)]
    for override in suspects or asked:  # to compose takes a tenth of a second each
        try:
            plain(compose(command, [*base, override.input_line]))
        except COMPOSITION_ERRORS as error:
            yield override.input_line, _explain_value(command, override, reference, error)


def _explain_value(command: str, override: Override, config: Any, error: Exception) -> str:
    """Why one `key=value` was refused: which part of the key does not exist, or the value's type."""
    schema, line, key = COMMANDS[command].schema, override.input_line, override.key_or_group
    if missing := missing_part(config, key, ignored_device_keys(command)):
        group = key.partition(".")[0]
        if group in groups() and group in config and config[group] in (None, NO_DATASET):
            return f"{line}: choose one first, as in {group}={options(group)[0]}"
        if moved := MOVED_KEYS.get(key):
            return f"{line}: {key} is called {moved} now"
        others = [full for full, _ in flattened(config) if full.rpartition(".")[2] == key.rpartition(".")[2]]
        if others and "did you mean" not in missing:
            missing = f"{missing.partition(';')[0]}; did you mean {' or '.join(map(repr, others))}?"
        return f"{line}: {missing}"
    if not fits(override.value(), hint := hint_of(schema, key)):
        return misfit(schema, key, override.value(), hint)
    return f"{line}: {_first_line(error.__cause__ or error)}"


def _first_line(error: BaseException) -> str:
    if isinstance(error, MarkedYAMLError):
        return yaml_problem(error)
    text = str(error).strip()
    return " ".join(text.splitlines()[0].split()) if text else type(error).__name__
