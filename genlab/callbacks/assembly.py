"""Which callbacks a run has, and in which order a step tells them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from genlab.callbacks.base import Callback
from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.console import Console
from genlab.callbacks.metrics_file import MetricsFile
from genlab.callbacks.previews import Previews
from genlab.callbacks.status import Status
from genlab.callbacks.tensorboard import TensorBoard
from genlab.callbacks.validation import EarlyStopping, Validation
from genlab.callbacks.watch import Watch
from genlab.config.schema import EvaluationConfig, WatchConfig
from genlab.data.source import Source
from genlab.sampling.origin import training_origin
from genlab.training.distributed import rank
from genlab.training.trainer import Trainer

if TYPE_CHECKING:
    from genlab.evaluation.bench import Bench


def assemble(config: DictConfig, trainer: Trainer, source: Source, folder: Path, status: Status) -> list[Callback]:
    """In the order in which a step tells them: watch, which adds to rows; write rows, measure, look, then save.

    Every process measures and saves, so that all decide alike and a checkpoint holds what each of them knows; process 0
    alone writes.
    """
    settings = trainer.settings
    bench = _bench(config, trainer, source) if settings.evaluate_every else None
    watch = Watch(WatchConfig(**config.watch), folder / "checkpoints", bench and bench.classify)
    measuring: list[Callback] = [Validation(settings.validate_every)]
    if settings.early_stop_metric:
        direction = trainer.model.metrics[settings.early_stop_metric]
        measuring.append(EarlyStopping(settings.early_stop_metric, direction, settings.early_stop_patience))
    if bench:
        measuring.append(_evaluation(config, trainer, bench, folder))
    constants = {"config": OmegaConf.to_container(config), "data": source.spec.to_dict()}
    keeping = (settings.checkpoint_every, settings.keep_checkpoints)
    saving = Checkpoints(folder / "checkpoints", *keeping, constants, settings.best_metric)
    if rank() != 0:
        return [watch, *measuring, saving]
    watching: list[Callback] = [MetricsFile(folder / "metrics.jsonl"), status]
    if config.logger.tensorboard:
        text = OmegaConf.to_yaml(config)
        watching.append(TensorBoard(folder / "tensorboard", text, _hparams(config), config.logger.projector_size))
    if config.logger.console:
        watching.append(Console())
    previews = Previews(folder / "previews", settings.preview_every, training_origin(config, folder))
    return [watch, *watching, *measuring, previews, saving]


def _bench(config: DictConfig, trainer: Trainer, source: Source) -> "Bench":
    """What the model in training is measured against, as `evaluation` says."""
    from genlab.evaluation.bench import Bench  # scikit-learn takes a second to import

    settings = EvaluationConfig(**config.evaluation)
    return Bench(source, config.choices.dataset, settings, config, trainer.train.device, progress=False)


def _evaluation(config: DictConfig, trainer: Trainer, bench: "Bench", folder: Path) -> Callback:
    """What `genlab evaluate` would measure of the model in training."""
    from genlab.callbacks.evaluation import Evaluation
    from genlab.sampling.load import Run

    weights = "averaged" if trainer.ema else "raw"

    def as_run(trainer: Trainer) -> Run:
        return Run(folder, trainer.step, config, bench.source.spec, trainer.model, bench.device, weights)

    return Evaluation(trainer.settings.evaluate_every, bench, as_run)


def _hparams(config: DictConfig) -> dict[str, int | float | str | bool]:
    """The settings by which runs of a sweep commonly differ, or those that `logger.hparams` names, flat, as
    TensorBoard's HParams takes them.

    The dashboard opens with the first five columns by name, so what describes the machine or the data stays out.
    """
    flat = {"model": config.choices.model, "dataset": config.choices.dataset, "seed": config.seed}
    for node in ("model", "optimizer", "schedule", "trainer"):
        for key, value in config[node].items():
            if not key.startswith("_") and key != "players" and value is not None:
                flat[f"{node}.{key}"] = _plain(value)
    if (chosen := config.logger.get("hparams")) is None:
        return flat
    values = {key: flat.get(key, OmegaConf.select(config, key)) for key in chosen}
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> int | float | str | bool:
    """Of a setting: a group of them is called by the class that it names."""
    if isinstance(value, DictConfig):
        return str(value.get("_target_", "")).rpartition(".")[2]
    return value if isinstance(value, (int, float, str, bool)) else str(value)
