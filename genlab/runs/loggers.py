"""The loggers of a run: which are chosen, and whether their packages are installed."""

from collections.abc import Iterator
from importlib.util import find_spec

from genlab.callbacks.csv_file import CsvFile
from genlab.callbacks.logger import Logger, RunRecord
from genlab.callbacks.mlflow import MLflow
from genlab.callbacks.wandb import WandB
from genlab.contract.settings import LoggerConfig

EXTRAS = ("wandb", "mlflow")
"""Loggers that need a package, which has the same name, as has the extra that installs it."""


def missing_packages(settings: LoggerConfig) -> Iterator[str]:
    """A line for each chosen logger whose package is not installed."""
    for name in EXTRAS:
        spec = find_spec(name) if getattr(settings, name) else None
        if getattr(settings, name) and not (spec and spec.origin):  # a folder of this name is no package
            yield f"logger.{name}=true: needs {name}, which is not installed; pip install 'genlab[{name}]'"


def make_loggers(settings: LoggerConfig, run: RunRecord) -> Iterator[Logger]:
    """The chosen loggers, besides TensorBoard."""
    if settings.csv:
        yield CsvFile(run)
    if settings.wandb:
        yield WandB(run, settings.project)
    if settings.mlflow:
        yield MLflow(run, settings.project)
