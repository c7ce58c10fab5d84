"""Where a dataset's files are: which settings say it, and what they become."""

import os
import typing
from dataclasses import replace
from typing import Any

from genlab.config.check import locate, settings_of
from genlab.contract.settings import Place, RunConfig


def places(dataset: dict[str, Any]) -> list[str]:
    """Names of the settings of a dataset's node that say where its files are."""
    parameters, _ = settings_of(locate("dataset", dataset["_target_"]))
    types = {name: parameter.annotation for name, parameter in parameters.items() if name in dataset}
    return [name for name, found in types.items() if Place in (found, *typing.get_args(found))]


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
