"""Where files are: which keys and settings of datasets say it, and what they become."""

import os
import typing
from dataclasses import replace
from typing import Any

from genlab.config.check import locate, settings_of
from genlab.contract.settings import RunConfig, is_place


def usual_data_dir() -> str:
    """Where datasets are, unless `data_dir` says otherwise."""
    return os.environ.get("GENLAB_DATA") or "data"


def _at_home(value: Any) -> Any:
    """A place, or a list of places, with the user's home for a leading ~."""
    if isinstance(value, list):
        return [_at_home(entry) for entry in value]
    return os.path.expanduser(value) if isinstance(value, str) else value


def with_homes(schema: type, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a command's keys, with the user's home for ~ in those that are places."""
    hints = typing.get_type_hints(schema, include_extras=True)
    return {key: _at_home(value) if is_place(hints.get(key)) else value for key, value in values.items()}


def places(dataset: dict[str, Any]) -> list[str]:
    """Names of the settings of a dataset's node that say where its files are."""
    parameters, _ = settings_of(locate("dataset", dataset["_target_"]))
    types = {name: parameter.annotation for name, parameter in parameters.items() if name in dataset}
    return [name for name, found in types.items() if is_place(found)]


def with_absolute_places(config: RunConfig) -> RunConfig:
    """The config with absolute paths of the data, so that a run finds them from any working folder."""
    dataset = dict(config.dataset)
    for name in places(dataset):
        if isinstance(dataset[name], str) and dataset[name]:
            dataset[name] = os.path.abspath(os.path.expanduser(dataset[name]))
    return replace(config, dataset=dataset)


def moved(dataset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A run's dataset with the places `given`. `ValueError` if these are other settings, or not texts."""
    known = places(dataset)
    for name, value in given.items():
        if name not in known:
            may = f"only where its data are may change: {', '.join(f'dataset.{place}' for place in known)}"
            raise ValueError(
                f"dataset.{name}={value}: a run's own data keep their settings"
                + (f"; {may}" if known else "")
                + f"; name another dataset to change them, as in dataset=NAME dataset.{name}={value}"
            )
        if not isinstance(value, str):
            raise ValueError(f"dataset.{name}={value}: must be a text")
    return {**dataset, **given}
