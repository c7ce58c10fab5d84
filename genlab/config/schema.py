"""The fixed skeleton of a training config: which keys exist and of what type. Values live in `configs/`."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


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


@dataclass
class LoaderConfig:
    storage: str = MISSING
    memory_limit: float = MISSING
    workers: int = MISSING
    flip: bool = MISSING
    shift: int = MISSING


@dataclass
class LoggerConfig:
    console: bool = MISSING
    tensorboard: bool = MISSING
    projector_size: int = MISSING


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


CHOICES = {
    "device.name": ("auto", "cpu", "cuda", "mps"),
    "device.precision": ("fp32", "bf16", "fp16"),
    "device.memory_format": ("contiguous", "channels_last"),
    "loader.storage": ("auto", "memory", "stream"),
}
"""Keys of the skeleton that take one of a few words."""

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
}
"""Smallest value that each number of the skeleton may have."""


@dataclass
class UseConfig:
    """What every command that uses a trained run reads."""

    run: str = MISSING
    output_dir: str = MISSING
    seed: int = MISSING
    device: DeviceConfig = field(default_factory=DeviceConfig)


@dataclass
class SampleConfig(UseConfig):
    """What `genlab sample` reads."""

    num_samples: int = MISSING
    label: int | None = MISSING


@dataclass
class TranslateConfig(UseConfig):
    """What `genlab translate` reads."""

    input: str | None = MISSING
    to: str = MISSING
