"""Check a composed config against the signatures of its classes, before anything is built, read or written."""

import importlib
import inspect
import math
import os
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from genlab.config.hints import describe, fits, misfit
from genlab.config.paths import options
from genlab.config.reading import whole
from genlab.contract.limits import Limits
from genlab.contract.settings import BINARIZATIONS, CLASS_NODES, EVERY_DATASET, PAIRS, RunConfig
from genlab.system import plugins
from genlab.system.text import did_you_mean

TRUSTED = ("genlab", "torch.nn", "torch.optim")

_KINDS = {
    "model": ("genlab.contract.model", "GenerativeModel", {"data", "network"}),
    "network": ("genlab.networks.network", "Network", set()),
    "dataset": ("genlab.data.source", "Source", set()),
    "optimizer": ("torch.optim", "Optimizer", {"params"}),
    "schedule": ("genlab.training.schedule", "Schedule", set()),
    "callbacks": ("genlab.training.callback", "Callback", {"run"}),
}
"""Nodes that name a class: its base class, by name, so that it is only imported when needed, and the parameters that
GenLab itself fills in."""

_OWN_KEYS = {"optimizer": ("players",), "dataset": tuple(EVERY_DATASET)}
"""Keys of nodes that are not passed to the class."""

_COUNTABLE = Limits(at_most=2**62)
"""Limits of whole numbers that are passed to a constructor: torch uses 64 bits."""


def _kind(node: str) -> tuple[str, str, set[str]]:
    """That of a node, or of the group that it is in, as `callbacks.NAME` is."""
    return _KINDS[node.partition(".")[0]]


def problems_of(config: RunConfig, sweep_metric: str | None = None) -> dict[str, list[str]]:
    """Invalid values of a run's config: a line for each key, by node ("model", "trainer", ...)."""
    problems: dict[str, list[str]] = {}
    for line in _setting_problems(config, sweep_metric):
        problems.setdefault(line.split(".")[0], []).append(line)
    for node in CLASS_NODES:
        if node == "network" and config.network is None:
            continue  # some models take none
        if lines := problems_of_node(node, getattr(config, node)):
            problems[node] = lines
    problems |= _callback_problems(config.callbacks)
    if not problems.keys() & {"model", "network"} and (unfit := _network_problem(config)):
        problems["network"] = [unfit]
    return problems


def _callback_problems(callbacks: Any) -> dict[str, list[str]]:
    """Invalid values of the callbacks of plugins, by node."""
    if not isinstance(callbacks, dict | None):
        return {"callbacks": [f"callbacks={callbacks}: choose files of plugins, as in callbacks=[NAME]"]}
    if "_target_" in (callbacks or {}):
        return {"callbacks": ["callbacks._target_: the file of a callback must begin with # @package callbacks.NAME"]}
    nodes = {f"callbacks.{name}": values for name, values in (callbacks or {}).items()}
    return {node: lines for node, values in nodes.items() if (lines := problems_of_node(node, values))}


def _network_problem(config: RunConfig) -> str | None:
    """Whether a network is given to a model that takes none, or none to one that needs it."""
    found = locate("model", config.model["_target_"])
    parameter = settings_of(found, {"data"})[0].get("network")
    if parameter is None and config.network is not None:
        name = locate("network", config.network["_target_"]).name
        return f"network={name}: {found.__name__} takes no network; leave it out"
    if parameter is not None and parameter.default is parameter.empty and config.network is None:
        return f"network: {found.__name__} needs one; choose from {', '.join(options('network'))}, as in network=mlp"
    return None


def with_whole_settings(node: str, values: Any) -> Any:
    """The settings of a node that names a class, with 1000 for 1e3 where the class takes whole numbers."""
    try:
        hints = settings_of(locate(node, values["_target_"]))[1]
    except (KeyError, TypeError, ValueError):  # no such class: reported when the request is checked
        return values
    return {key: whole(value, hints.get(key, Any)) for key, value in values.items()}


def problems_of_node(node: str, values: Any) -> list[str]:
    """A line for each problem of a node ("model", "dataset", ...): no valid class, or `values` that do not fit it."""
    if not isinstance(values, dict) or not isinstance(values.get("_target_"), str):
        return [f"{node}: names no class; choose one by {node}=NAME"]
    try:
        found = locate(node, values["_target_"])
    except ValueError as error:
        return [str(error)]
    own = {"_target_", *_OWN_KEYS.get(node, ())}
    problems = list(mismatches(node, found, {k: v for k, v in values.items() if k not in own}, _kind(node)[2]))
    if node == "optimizer" and not _are_groups(players := values.get("players")):
        problems.append(f"optimizer.players={players}: needs settings by player, as in optimizer.players.model.lr=1")
    if node == "dataset" and (pair := values.get("pair")) not in (None, *PAIRS):
        problems.append(f"dataset.pair={pair}: must be one of {', '.join(PAIRS)}, or null for none")
    if node == "dataset" and type(labels := values.get("num_labels")) not in (int, type(None)):
        problems.append(f"dataset.num_labels={labels}: must be a whole number, or null for all")
    if node == "dataset" and (how := values.get("binarize", "none")) not in BINARIZATIONS:
        problems.append(f"dataset.binarize={how}: must be one of {', '.join(BINARIZATIONS)}")
    return problems


def _are_groups(players: Any) -> bool:
    return isinstance(players, dict) and all(isinstance(own, dict | None) for own in players.values())


def _setting_problems(config: RunConfig, sweep_metric: str | None) -> Iterator[str]:
    trainer, device = config.trainer, config.device
    yield from limit_problems(config)
    if trainer.max_steps is None and not trainer.max_epochs:
        yield "trainer.max_steps=null: needs trainer.max_epochs, as in trainer.max_epochs=10"
    if trainer.clip == 0:
        yield "trainer.clip=0: would stop all learning; null means no clipping"
    if trainer.ema is not None and not 0 <= trainer.ema < 1:
        yield f"trainer.ema={trainer.ema}: the decay must be at least 0 and below 1, as in 0.999"
    for key, metric in ranking_metrics(config, sweep_metric).items():
        kind, _, name = metric.partition("/")
        if kind not in ("validation", "evaluation") or not name:
            yield f"{key}={metric}: must begin with validation/ or evaluation/"
        elif kind == "evaluation" and not trainer.evaluate_every:
            yield f"{key}={metric}: is measured only with trainer.evaluate_every=STEPS"
    batch, micro_batch = trainer.batch_size, device.micro_batch
    processes = int(os.environ.get("WORLD_SIZE", device.processes))  # torchrun's, if it started this process
    share = batch // max(processes, 1)
    if processes > 1 and batch % processes:
        yield f"trainer.batch_size={batch}: must divide evenly over device.processes={processes}"
    elif micro_batch and micro_batch < share and share % micro_batch:
        yield f"device.micro_batch={micro_batch}: must divide the {share} examples of a process evenly"


def ranking_metrics(config: RunConfig, sweep_metric: str | None = None) -> dict[str, str]:
    """The metrics that rank checkpoints or the jobs of a sweep, by key."""
    found = {"trainer.best_metric": config.trainer.best_metric, "sweep.metric": sweep_metric}
    return {key: metric for key, metric in found.items() if metric}


def limit_problems(settings: Any, above: str = "") -> Iterator[str]:
    """A line for each value of typed settings that is not finite or outside the limits of its key."""
    for entry in fields(settings):
        key, value = above + entry.name, getattr(settings, entry.name)
        if is_dataclass(value):
            yield from limit_problems(value, f"{key}.")
        elif entry.name not in CLASS_NODES:
            yield from _outside(key, value, entry.metadata.get("limits", Limits()))


def _outside(key: str, value: Any, limits: Limits) -> Iterator[str]:
    """A line for each number or word in `value`, nested lists and dicts included, that is not within `limits`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _outside(f"{key}.{name}", inner, limits)
    elif isinstance(value, list):
        for inner in value:
            yield from _outside(key, inner, limits)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{key}={value}: must be a finite number"
    elif problem := limits.problem(value):
        yield f"{key}={value}: {problem}"


def locate(node: str, target: str) -> Any:
    """Import the class `target`. `ValueError` unless it is in a trusted package and has the node's base class."""
    if "__main__" in target.split("."):
        raise ValueError(f"{node}._target_={target}: names a program, which would run when imported")
    plugin = None
    if not any(target == package or target.startswith(package + ".") for package in TRUSTED):
        plugin = plugins.plugin_of(target)
        if plugin is None:
            trusted = ", ".join((*TRUSTED, *(plugin.home for plugin in plugins.installed())))
            raise ValueError(f"{node}._target_={target}: outside the trusted packages ({trusted})")
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr((plugin.load if plugin else importlib.import_module)(module_name), name)
    except plugins.Broken:
        raise
    except (ImportError, AttributeError, ValueError) as error:  # ValueError: no module before the last dot
        broken = isinstance(error, ImportError) and not plugins.is_absent(error, module_name)
        raise ValueError(f"{node}._target_={target}: {error if broken else 'no such class'}") from error
    base = getattr(importlib.import_module(_kind(node)[0]), _kind(node)[1])
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{node}._target_={target}: must be a {base.__name__}")
    if inspect.isabstract(found):
        raise ValueError(f"{node}._target_={target}: must be a {base.__name__} with all its methods, and is abstract")
    return found


def mismatches(
    node: str, found: type, values: dict[str, Any], supplied: Collection[str] = frozenset()
) -> Iterator[str]:
    """A line for each of `values` that the constructor of `found` does not accept, by name or by type."""
    parameters, hints = settings_of(found, supplied)
    yield from unaccepted(node, found.__name__, parameters, hints, values)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in values:
            yield f"{node}.{key}: is missing and must be {describe(hints.get(key, Any))}"


def unaccepted(
    node: str, owner: str, parameters: Collection[str], hints: Mapping[str, Any], values: Mapping[str, Any]
) -> Iterator[str]:
    """A line for each of `values` that is not among the `parameters` of `owner`, or does not have the type hinted."""
    for key, value in values.items():
        if key not in parameters:
            hint = did_you_mean(key, list(parameters)) if parameters else "it has none"
            yield f"{node}.{key}={value}: {owner} has no such setting; {hint}"
        elif not fits(value, hints.get(key, Any)):
            yield misfit(RunConfig, f"{node}.{key}", value, hints[key])
        else:
            anything = key == "seed" or isinstance(value, float)
            yield from _outside(f"{node}.{key}", value, Limits() if anything else _COUNTABLE)


def settings_of(
    found: type, supplied: Collection[str] = frozenset()
) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Constructor parameters of a class and their types; `**settings` stands for the next base class's parameters."""
    parameters: dict[str, inspect.Parameter] = {}
    hints: dict[str, Any] = {}
    for base in found.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        own = list(inspect.signature(constructor).parameters.values())[1:]
        named = {p.name: p for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in supplied}
        parameters, hints = named | parameters, typing.get_type_hints(constructor) | hints
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    return parameters, hints
