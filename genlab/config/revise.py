"""What of a run's config may be another when it goes on, and how a command line says so."""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString
from omegaconf import DictConfig, OmegaConf

from genlab.config.compose import RequestError, did_you_mean, parse
from genlab.config.hints import fits, hint_of, misfit
from genlab.config.paths import groups
from genlab.config.schema import STOPPING, TrainConfig

FREE = (
    *STOPPING,
    *(f"trainer.{name}_every" for name in ("log", "validate", "preview", "evaluate", "checkpoint")),
    "trainer.keep_checkpoints",
    *(f"loader.{name}" for name in ("storage", "memory_limit", "workers")),
    "data_dir",
    "output_dir",
    "device",
    "logger",
)
"""Keys and nodes that may change: when a run ends, when it measures and saves, the machine's side, where things lie."""

_FOLLOWING = ("dataset.data_dir", "init_from")
"""What follows from `data_dir`, and what had its say when the run began."""


def is_free(key: str) -> bool:
    """Whether a run may go on with another value of a dotted key."""
    return any(key == free or key.startswith(f"{free}.") for free in (*FREE, *_FOLLOWING))


def stopping_rule(config: DictConfig | dict) -> dict[str, Any]:
    """What decides how long a run lasts."""
    return {key: OmegaConf.select(OmegaConf.create(config), key) for key in STOPPING}


def differences(run: DictConfig, asked: DictConfig) -> list[str]:
    """A line for each setting by which `asked` would be another run than `run` is."""
    mine, theirs = dict(_flat("", run)), dict(_flat("", asked))
    keys = [key for key in {**mine, **theirs} if not is_free(key) and mine.get(key, "") != theirs.get(key, "")]
    return [f"{key}: {theirs.get(key, 'nothing')} is asked for, the run has {mine.get(key, 'nothing')}" for key in keys]


def _flat(key: str, values: Any) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; lists are values."""
    if isinstance(values, DictConfig):
        values = OmegaConf.to_container(values, resolve=True)
    if isinstance(values, dict) and values:
        for name, value in values.items():
            yield from _flat(f"{key}.{name}" if key else str(name), value)
    else:
        yield key, values


def revise(run: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The config `run` with `overrides`. `RequestError` where one is a mistake, or would make it another run."""
    revised, problems = run.copy(), []
    for override in parse(overrides):
        try:
            key, value = _setting(run, override)
            OmegaConf.update(revised, key, value)
        except ValueError as error:
            problems.append(str(error))
    problems += differences(run, revised)
    if problems:
        raise RequestError(problems)
    return revised


def _setting(run: DictConfig, override: Override) -> tuple[str, Any]:
    """The key that an override sets, and its value. `ValueError` where the run has no such key, or not of this type."""
    line, key, value = override.input_line, override.key_or_group, override.value()
    value = value.text if isinstance(value, QuotedString) else value
    if override.is_delete() or override.is_add() or override.is_force_add() or override.is_sweep_override():
        raise ValueError(f"{line}: write key=value, with one value")
    if key in groups() and isinstance(value, str):
        if key == "device":
            return "device.name", value
        if key in run.choices and run.choices[key] == value:
            return f"choices.{key}", value
        raise ValueError(f"{line}: a run that goes on keeps its {key}")
    node, walked = run, []
    for part in key.split("."):
        if not isinstance(node, DictConfig) or part not in node:
            names = [str(name) for name in node] if isinstance(node, DictConfig) else []
            where = ".".join(walked) or "the config"
            raise ValueError(
                f"{line}: {where} has no key {part!r}" + (f"; {did_you_mean(part, names)}" if names else "")
            )
        walked.append(part)
        node = node[part]
    hint = hint_of(TrainConfig, key)
    if isinstance(node, DictConfig) or not fits(value, hint):
        raise ValueError(misfit(key, value, hint))
    return key, value
