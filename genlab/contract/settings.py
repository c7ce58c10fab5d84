"""The settings of a training run: keys, types and ranges.

The YAML files in `configs/` hold the default of each key, and a comment that says what it means. Hydra composes a
`TrainConfig`. A run holds a `RunConfig`: it is resolved and has no `sweep`. Imports nothing slow.
"""

import math
import typing
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, TypeVar

from genlab.contract.limits import MISSING, limited

T = TypeVar("T")

Place = Annotated[str, "place"]
Places = Annotated[Any, "place"]
"""Types of keys that say where files are, or a list of such; ~ is the user's home. A run stores those of its dataset as
absolute paths, which may change when it is resumed or used, as long as the data are the same."""


def is_place(hint: Any) -> bool:
    """Whether a type, with its annotations, is that of places."""
    return "place" in getattr(hint, "__metadata__", ()) or any(map(is_place, typing.get_args(hint)))


PAIRS = ("gray", "edges", "mask", "downscale")
"""What `dataset.pair` may derive from the images of any dataset."""

BINARIZATIONS = ("none", "static", "dynamic", "threshold")
"""How `dataset.binarize` makes binary images of those of any dataset."""

EVERY_DATASET: dict[str, Any] = {"only": None, "without": None, "pair": None, "binarize": "none", "num_labels": None}
"""The keys of every dataset, which are not passed to its class, and what stands for nothing."""

EXTRACTORS = ("auto", "classifier", "random-conv", "pixels", "values", "inception")
_MAX_PROCESSES = 1024


@dataclass
class TrainerConfig:
    max_steps: int | None = limited(at_least=1)
    max_epochs: float | None = limited(at_least=0, at_most=10**9)
    batch_size: int = limited(at_least=1)
    clip: float | None = limited(at_least=0)
    ema: float | None = MISSING
    log_every: int = limited(at_least=1)
    validate_every: int | None = limited(at_least=1)
    preview_every: int | None = limited(at_least=1)
    evaluate_every: int | None = limited(at_least=1)
    best_metric: str | None = MISSING
    checkpoint_every: int | None = limited(at_least=1)
    keep_checkpoints: int = limited(at_least=0)
    early_stop_metric: str | None = MISSING
    early_stop_patience: int = limited(at_least=1)

    def planned_steps(self, examples: int) -> int:
        """Number of steps of a run on `examples` training examples, unless it stops early."""
        return self.max_steps or math.ceil((self.max_epochs or 0) * examples / self.batch_size)


@dataclass
class DeviceConfig:
    name: str = limited(choices=("auto", "cpu", "cuda", "mps"))
    index: int = limited(at_least=0)
    precision: str = limited(choices=("fp32", "fast-fp32", "bf16", "fp16"))
    memory_format: str = limited(choices=("contiguous", "channels_last"))
    compile: bool = MISSING
    micro_batch: int | None = limited(at_least=1)
    memory_budget: str | None = limited(size=True)
    threads: int | None = limited(at_least=1, at_most=_MAX_PROCESSES)
    deterministic: bool = MISSING
    processes: int = limited(at_least=1, at_most=_MAX_PROCESSES)
    keep_memory: bool = MISSING
    spin: str = limited(choices=("auto", "on", "off"))


@dataclass
class LoaderConfig:
    storage: str = limited(choices=("auto", "memory", "stream"))
    memory_limit: float = limited(at_least=0)
    workers: int | None = limited(at_least=0, at_most=_MAX_PROCESSES)
    flip: bool = MISSING
    shift: int = limited(at_least=0, at_most=10**6)


@dataclass
class LoggerConfig:
    console: bool = MISSING
    tensorboard: bool = MISSING
    axis: str = limited(choices=("step", "epoch"))
    histograms: bool = MISSING
    csv: bool = MISSING
    wandb: bool = MISSING
    mlflow: bool = MISSING
    project: str | None = MISSING
    projector_size: int = limited(at_least=0, at_most=10**6)
    image_metadata: bool = MISSING
    hparams: list[str] | None = MISSING


@dataclass
class EvaluationConfig:
    """How samples, likelihoods and latents are measured, by `genlab evaluate` and by `trainer.evaluate_every`."""

    metrics: list[str] | None = MISSING
    sampling: dict[str, Any] = MISSING
    num_samples: int = limited(at_least=1, at_most=10**9)
    extractor: str = limited(choices=EXTRACTORS)
    importance_samples: int = limited(at_least=1, at_most=10**5)
    repeats: int = limited(at_least=1, at_most=1000)
    nearest: int = limited(at_least=0, at_most=1000)


@dataclass
class WatchConfig:
    action: str = limited(choices=("warn", "stop", "rollback"))
    every: int = limited(at_least=1)
    num_samples: int = limited(at_least=2, at_most=10**6)
    warmup: int = limited(at_least=0)
    diversity_bound: float = limited(at_least=0)
    accuracy_bound: float = limited(at_least=0)
    accuracy_steps: int = limited(at_least=0)
    gradient_factor: float = limited(at_least=1)
    class_entropy_bound: float = limited(at_least=0)
    rollback_lr_factor: float = limited(at_least=0)
    max_rollbacks: int = limited(at_least=0)


@dataclass
class SweepConfig:
    """How a sweep runs its jobs; not part of a run. Defaults are set here, so that sweep files can override them.

    metric: ranks the jobs and is the objective of a search, as in validation/elbo; null for the model's first metric.
    retry: whether failed jobs run again when the sweep is restarted.
    """

    metric: str | None = None
    retry: bool = False


@dataclass
class _Settings:
    """What `TrainConfig` and `RunConfig` share. `Any` nodes name a class by `_target_` and are checked against its
    signature. A model that takes no network has none. callbacks: such nodes by name, of plugins; None for none."""

    seed: int = MISSING
    data_dir: Place = MISSING
    output_dir: Place = MISSING
    init_from: Place | None = MISSING
    dataset: Any = MISSING
    model: Any = MISSING
    network: Any = None
    optimizer: Any = MISSING
    schedule: Any = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    callbacks: Any = None


@dataclass
class TrainConfig(_Settings):
    """What `genlab train` reads. for_data: the rules of the recipe, see `genlab.config.rules`."""

    for_data: Any = None

    sweep: SweepConfig = field(default_factory=SweepConfig)


@dataclass
class Choices:
    """The names of the chosen model and dataset."""

    model: str = MISSING
    dataset: str = MISSING


@dataclass
class RunConfig(_Settings):
    """Every setting of one run, resolved: `CLASS_NODES` are plain dicts."""

    choices: Choices = field(default_factory=Choices)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in checkpoints and in `config.yaml`."""
        values = asdict(self)
        return {"choices": values.pop("choices"), **values}


STOPPING_KEYS = ("trainer.max_steps", "trainer.max_epochs", "trainer.early_stop_patience")
"""Keys that determine when a run ends."""

LISTED_GROUPS = ("logger", "callbacks")
"""Groups of which several files can be chosen at once, as in `logger=[tensorboard,csv]`."""

CLASS_NODES = ("dataset", "model", "network", "optimizer", "schedule")
"""Nodes that name a class by `_target_`."""


def typed(schema: type[T], values: dict[str, Any]) -> T:
    """An instance of a schema, nested ones included, from plain values that match its keys and types."""
    groups = {entry.name: entry.default_factory for entry in fields(schema)}  # type: ignore[arg-type]  # T is a dataclass
    return schema(
        **{
            name: typed(group, value) if isinstance(group := groups[name], type) and is_dataclass(group) else value
            for name, value in values.items()
        }
    )


def flattened(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; lists and empty groups are values."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def lookup(values: Any, key: str) -> Any:
    """The value of a dotted `key` in nested dicts and settings; None if there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else getattr(values, part, None)
    return values
