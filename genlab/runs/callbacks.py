"""The callbacks of a run, and the order in which they are notified."""

from typing import Any

import torch
import yaml

from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.console import Console, Journal
from genlab.callbacks.logger import Logger, RunRecord
from genlab.callbacks.metrics_file import MetricsFile
from genlab.callbacks.previews import Previews
from genlab.callbacks.speed import Speed
from genlab.callbacks.status_file import StatusFile
from genlab.callbacks.tensorboard import TensorBoard
from genlab.callbacks.validation import EarlyStopping, Validation
from genlab.callbacks.watch import Watch
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import RunStatus
from genlab.config.build import build_callbacks
from genlab.config.check import locate
from genlab.contract.settings import RunConfig, lookup
from genlab.data.source import Source
from genlab.inference.run import Run
from genlab.media.metadata import PREVIEW, Origin, run_id
from genlab.metrics.catalogue import directions_of, ranking
from genlab.runs.loggers import make_loggers
from genlab.system.distributed import rank
from genlab.system.text import printable
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer


def directions(config: RunConfig) -> dict[str, str]:
    """ "min" or "max" by full name, for every ranking metric of the run; the first one ranks the model's runs."""
    model = locate("model", config.model["_target_"])
    found = {f"validation/{name}": direction for name, direction in model.metrics.items()}
    if config.trainer.evaluate_every:
        numbers = directions_of(config.evaluation.metrics)
        found |= {f"evaluation/{name}": direction for name, direction in numbers.items() if direction}
    return ranking(found)


def make_callbacks(
    config: RunConfig, trainer: Trainer, source: Source, folder: RunFolder, status: RunStatus
) -> list[Callback]:
    """Callbacks in the order in which they are notified: write rows, measure, preview, then save.

    Every process measures and saves, so that all decide alike and checkpoints hold the state of each. Only process 0
    writes files. Callbacks of plugins run in all processes, their loggers in process 0.
    """
    settings = trainer.settings
    every = settings.evaluate_every
    evaluation = _evaluation(config, trainer, source, folder, every) if every else None
    watch = Watch(config.watch, folder, evaluation and evaluation.context.classify)
    measuring: list[Callback] = [Validation(settings.validate_every)]
    if settings.early_stop_metric:
        direction = trainer.model.metrics[settings.early_stop_metric]
        measuring.append(EarlyStopping(settings.early_stop_metric, direction, settings.early_stop_patience))
    if evaluation:
        measuring.append(evaluation)
    constants = {"config": config.to_dict(), "data": source.spec.to_dict()}
    saving = Checkpoints(folder, settings.checkpoint_every, settings.keep_checkpoints, constants, settings.best_metric)
    run = RunRecord(folder, config.to_dict(), _hparams(config), status)
    brought = build_callbacks(config, run)
    own = [callback for callback in brought if not isinstance(callback, Logger)]
    if rank() != 0:
        return [watch, *measuring, *own, saving]
    writing: list[Callback] = [MetricsFile(folder.metrics), StatusFile(status), Speed(folder, torch.get_num_threads())]
    if config.logger.tensorboard:
        text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
        writing.append(TensorBoard(folder.events, text, run.hparams, config.logger, status))
    writing += [*make_loggers(config.logger, run), *(callback for callback in brought if isinstance(callback, Logger))]
    writing.append(Journal(config.logger.console))
    if config.logger.console:
        writing.append(Console())
    marked = config.logger.image_metadata
    origin = Origin(config.choices.model, run_id(folder.path), 0, config.seed, PREVIEW) if marked else None
    previews = Previews(folder.previews, settings.preview_every, origin, source.log_density)
    return [watch, *writing, *measuring, previews, *own, saving]


def _evaluation(config: RunConfig, trainer: Trainer, source: Source, folder: RunFolder, every: int) -> Any:
    """Measures what `genlab evaluate` would on the model in training, with the settings of `evaluation`."""
    from genlab.evaluation.callback import Evaluation  # scikit-learn takes a second to import
    from genlab.evaluation.context import EvaluationContext

    device = trainer.train_loader.device
    context = EvaluationContext(source, config.choices.dataset, config.evaluation, config, device, progress=False)
    weights, budget = "averaged" if trainer.ema else "raw", config.device.memory_budget
    run = Run(folder.path, 0, config, source.spec, trainer.model, device, weights, memory_budget=budget)
    return Evaluation(every, context, run)


def _hparams(config: RunConfig) -> dict[str, int | float | str | bool]:
    """The settings that commonly vary in a sweep, or those in `logger.hparams`, as a flat dict for HParams.

    The dashboard initially shows the first five columns by name, so machine and data settings are left out.
    """
    flat: dict[str, Any] = {"model": config.choices.model, "dataset": config.choices.dataset, "seed": config.seed}
    values = config.to_dict()
    for node in ("model", "network", "optimizer", "schedule", "trainer"):
        own = (values[node] or {}).items()
        flat |= {f"{node}.{key}": value for key, value in own if not key.startswith("_") and key != "players"}
    if (chosen := config.logger.hparams) is not None:
        flat = {key: flat.get(key, lookup(config, key)) for key in chosen}
    return {key: _plain(value) for key, value in flat.items() if value is not None}


def _plain(value: Any) -> int | float | str | bool:
    """A setting as a value for TensorBoard; a node becomes the name of its class."""
    if isinstance(value, dict):
        return str(value.get("_target_", "")).rpartition(".")[2]
    return value if isinstance(value, (int, float, bool)) else printable(str(value))  # a path may be no text
