"""The fixed skeletons of all commands: which keys exist, of what type and in which range. Values live in `configs/`."""

from dataclasses import dataclass, field
from typing import Any

MISSING: Any = "???"
"""OmegaConf's mark of a value that YAML must give; written out, as completion reads this file without OmegaConf."""


@dataclass
class TrainerConfig:
    max_steps: int | None = MISSING
    max_epochs: float | None = MISSING
    batch_size: int = MISSING
    clip: float | None = MISSING
    ema: float | None = MISSING
    log_every: int = MISSING
    validate_every: int | None = MISSING
    preview_every: int | None = MISSING
    evaluate_every: int | None = MISSING
    best_metric: str | None = MISSING
    checkpoint_every: int | None = MISSING
    keep_checkpoints: int = MISSING
    early_stop_metric: str | None = MISSING
    early_stop_patience: int = MISSING


@dataclass
class DeviceConfig:
    name: str = MISSING
    index: int = MISSING
    precision: str = MISSING
    memory_format: str = MISSING
    compile: bool = MISSING
    micro_batch: int | None = MISSING
    threads: int | None = MISSING
    deterministic: bool = MISSING
    processes: int = MISSING
    # With defaults, for runs that were stored before there was a choice: see `genlab.config.earlier`.
    cuda_graph: bool = False
    keep_memory: bool = False


@dataclass
class LoaderConfig:
    storage: str = MISSING
    memory_limit: float = MISSING
    workers: int | None = MISSING
    flip: bool = MISSING
    shift: int = MISSING


@dataclass
class LoggerConfig:
    console: bool = MISSING
    tensorboard: bool = MISSING
    projector_size: int = MISSING
    picture_metadata: bool = MISSING
    hparams: list[str] | None = None  # with a default, for runs that were stored before there was a choice


@dataclass
class EvaluationConfig:
    """How samples, likelihoods and latents are measured: what `genlab evaluate` and `trainer.evaluate_every` share."""

    metrics: list[str] | None = MISSING
    num_samples: int = MISSING
    extractor: str = MISSING
    importance_samples: int = MISSING
    repeats: int = MISSING
    nearest: int = MISSING


@dataclass
class WatchConfig:
    action: str = MISSING
    every: int = MISSING
    num_samples: int = MISSING
    warmup: int = MISSING
    diversity_bound: float = MISSING
    accuracy_bound: float = MISSING
    accuracy_steps: int = MISSING
    gradient_factor: float = MISSING
    class_entropy_bound: float = MISSING
    rollback_lr_factor: float = MISSING
    max_rollbacks: int = MISSING


@dataclass
class SweepConfig:
    """How a sweep goes about its jobs; no part of a run. With defaults here, so that files of sweeps can set them.

    metric: what ranks jobs, and what a search improves, as in validation/elbo; null for what the model ranks by first.
    retry: whether jobs that failed are tried again where a sweep is started again.
    """

    metric: str | None = None
    retry: bool = False


@dataclass
class TrainConfig:
    """What `genlab train` reads. `Any` nodes name a class by `_target_` and are held against its signature."""

    seed: int = MISSING
    data_dir: str = MISSING
    output_dir: str = MISSING
    init_from: str | None = MISSING
    dataset: Any = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


EXTRACTORS = ("auto", "digits", "pixels", "inception")

CHOICES = {
    "device.name": ("auto", "cpu", "cuda", "mps"),
    "device.precision": ("fp32", "fast-fp32", "bf16", "fp16"),
    "device.memory_format": ("contiguous", "channels_last"),
    "loader.storage": ("auto", "memory", "stream"),
    "watch.action": ("warn", "stop", "rollback"),
    "weights": ("averaged", "raw"),
    "format": ("grid", "npz", "png"),
    "order": ("ascending", "descending"),
    "path": ("spherical", "linear"),
    "plot": ("pca", "tsne", "none"),
    "split": ("validation", "train"),
    "extractor": EXTRACTORS,
    "evaluation.extractor": EXTRACTORS,
}
"""Keys of the skeletons that take one of a few words."""

MINIMA = {
    "trainer.max_steps": 1,
    "trainer.max_epochs": 0,
    "trainer.batch_size": 1,
    "trainer.clip": 0,
    "trainer.log_every": 1,
    "trainer.validate_every": 1,
    "trainer.preview_every": 1,
    "trainer.checkpoint_every": 1,
    "trainer.keep_checkpoints": 0,
    "trainer.early_stop_patience": 1,
    "device.index": 0,
    "device.micro_batch": 1,
    "device.threads": 1,
    "device.processes": 1,
    "loader.memory_limit": 0,
    "loader.workers": 0,
    "loader.shift": 0,
    "logger.projector_size": 0,
    "watch.every": 1,
    "watch.num_samples": 2,
    "watch.warmup": 0,
    "watch.diversity_bound": 0,
    "watch.accuracy_bound": 0,
    "watch.accuracy_steps": 0,
    "watch.gradient_factor": 1,
    "watch.class_entropy_bound": 0,
    "watch.rollback_lr_factor": 0,
    "watch.max_rollbacks": 0,
    "num_samples": 1,
    "num_pictures": 1,
    "rows": 1,
    "steps": 2,
    "shown": 1,
    "importance_samples": 1,
    "repeats": 1,
    "nearest": 0,
    "evaluation.num_samples": 1,
    "evaluation.importance_samples": 1,
    "evaluation.repeats": 1,
    "evaluation.nearest": 0,
    "trainer.evaluate_every": 1,
    "tolerance": 0,
}
"""Smallest value that each number of the skeletons may have."""

POSITIVE = ("truncation", "extent")
"""Numbers that must be greater than 0."""

MAXIMA = {
    "extent": 100,
    "device.processes": 1024,
    "device.threads": 1024,
    "loader.workers": 1024,
    "logger.projector_size": 10**6,
    "watch.num_samples": 10**6,
    "num_samples": 10**9,
    "rows": 1000,
    "steps": 1000,
    "shown": 10_000,
    "importance_samples": 10**5,
    "repeats": 1000,
    "nearest": 1000,
    "evaluation.num_samples": 10**9,
    "evaluation.importance_samples": 10**5,
    "evaluation.repeats": 1000,
    "evaluation.nearest": 1000,
}
"""Largest value that a number of the skeletons may have: beyond, a typing error or a stranger would take memory or time
without end."""

STOPPING = ("trainer.max_steps", "trainer.max_epochs", "trainer.early_stop_patience")
"""Keys that decide when a run ends."""

TRAINING_ONLY = ("compile", "cuda_graph", "micro_batch", "processes")


def unheeded(command: str) -> tuple[str, ...]:
    """Keys of `device` that mean nothing to `command`; files of devices are shared, so a skeleton of their own would
    not do. What is exported is float32 and checked on the CPU."""
    exceptions = {"train": (), "export": (*TRAINING_ONLY, "precision", "memory_format")}
    return exceptions.get(command, TRAINING_ONLY)


@dataclass
class ResumeConfig:
    """What `genlab resume` reads besides the keys of a training config that it may change."""

    run: str = MISSING
    output_dir: str = MISSING


@dataclass
class UseConfig:
    """What every command that uses a trained run reads."""

    run: str = MISSING
    output_dir: str = MISSING
    seed: int = MISSING
    weights: str = MISSING
    picture_metadata: bool = MISSING
    device: DeviceConfig = field(default_factory=DeviceConfig)


@dataclass
class DataUseConfig(UseConfig):
    """What commands read that may look at data: the run's own, or `dataset`."""

    dataset: Any = MISSING
    data_dir: str = MISSING


@dataclass
class SampleConfig(UseConfig):
    num_samples: int = MISSING
    label: int | None = MISSING
    truncation: float | None = MISSING
    format: str = MISSING


@dataclass
class ReconstructConfig(DataUseConfig):
    input: str | None = MISSING
    num_pictures: int | None = MISSING
    skip_damaged: bool = MISSING


@dataclass
class InterpolateConfig(DataUseConfig):
    path: str | None = MISSING
    pictures: list[str] | None = MISSING
    seeds: list[int] | None = MISSING
    label: int | None = MISSING
    rows: int = MISSING
    steps: int = MISSING


@dataclass
class TraverseConfig(DataUseConfig):
    input: str | None = MISSING
    latents: list[int] | None = MISSING
    plane: list[int] | None = MISSING
    extent: float = MISSING
    steps: int = MISSING
    rows: int = MISSING
    label: int | None = MISSING


@dataclass
class TranslateConfig(UseConfig):
    input: str | None = MISSING
    to: str = MISSING
    skip_damaged: bool = MISSING


@dataclass
class ScoreConfig(DataUseConfig):
    input: str | None = MISSING
    against: str | None = MISSING
    method: str | None = MISSING
    importance_samples: int = MISSING
    num_pictures: int | None = MISSING
    shown: int = MISSING
    skip_damaged: bool = MISSING


@dataclass
class EncodeConfig(DataUseConfig):
    input: str | None = MISSING
    num_pictures: int | None = MISSING
    plot: str = MISSING
    skip_damaged: bool = MISSING


@dataclass
class ExportConfig(UseConfig):
    onnx: bool = MISSING
    tolerance: float = MISSING


@dataclass
class CompareConfig:
    """What `genlab compare` reads."""

    runs: Any = MISSING
    metric: str | None = MISSING
    order: str | None = MISSING
    output: str | None = MISSING


@dataclass
class EvaluateConfig(EvaluationConfig, DataUseConfig):
    split: str = MISSING


COMMANDS = {
    "train": TrainConfig,
    "resume": ResumeConfig,
    "sample": SampleConfig,
    "reconstruct": ReconstructConfig,
    "interpolate": InterpolateConfig,
    "traverse": TraverseConfig,
    "translate": TranslateConfig,
    "score": ScoreConfig,
    "encode": EncodeConfig,
    "export": ExportConfig,
    "compare": CompareConfig,
    "evaluate": EvaluateConfig,
}
"""The skeleton of each command; Hydra knows it as COMMAND_skeleton."""
