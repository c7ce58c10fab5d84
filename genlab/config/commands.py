"""The commands: their purpose and their keys. The values are in `configs/`. Imports nothing slow."""

import os
from dataclasses import dataclass, field
from typing import Any

from genlab.contract.limits import MISSING, limited
from genlab.contract.settings import EVERY_DATASET, DeviceConfig, EvaluationConfig, Place, Places, TrainConfig


@dataclass
class ResumeConfig:
    """The keys of `genlab resume`, besides the training settings that it may change."""

    run: Place | None = MISSING
    output_dir: Place = MISSING


@dataclass
class InfoConfig:
    """The keys of `genlab info`."""

    run: Place = MISSING
    output_dir: Place = MISSING


@dataclass
class DoctorConfig:
    """The keys of `genlab doctor`. The values are those of its file, which cannot be read where Hydra is broken."""

    data_dir: Place = field(default_factory=lambda: os.environ.get("GENLAB_DATA") or "data")
    output_dir: Place = "outputs"


@dataclass
class ListConfig:
    """The keys of `genlab list`."""

    what: str | None = limited(choices=("models", "datasets", "networks", "metrics"))


@dataclass
class DataConfig:
    """The keys of `genlab data`. dataset: a `DatasetChoice` once composed."""

    dataset: Any = MISSING
    data_dir: Place = MISSING
    seed: int = MISSING
    split: str = limited(choices=("train", "validation"))
    num_shown: int | None = limited(at_least=1, at_most=10_000)
    output: Place | None = MISSING


@dataclass
class UseConfig:
    """The keys of every command that uses a trained run."""

    run: Place = MISSING
    output_dir: Place = MISSING
    seed: int = MISSING
    weights: str = limited(choices=("averaged", "raw"))
    image_metadata: bool = MISSING
    device: DeviceConfig = field(default_factory=DeviceConfig)


NO_DATASET = EVERY_DATASET
"""The node `dataset` of a command that was given none: `configs/every_dataset.yaml` alone."""


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset chosen on the command line: its name and settings; without a name, where the run's own data are now."""

    name: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        return f"dataset={self.name}" if self.name else f"dataset.{next(iter(self.settings))}"


@dataclass
class ConditionedConfig(UseConfig):
    """The keys of commands whose results depend on what the model is conditioned on: values by field."""

    condition: dict[str, Any] = MISSING


@dataclass
class DataUseConfig(UseConfig):
    """The keys of commands that can read data: the run's own, or `dataset`, a `DatasetChoice` once composed."""

    dataset: Any = MISSING
    data_dir: Place = MISSING

    @property
    def own(self) -> bool:
        """Whether the run's own data are meant."""
        return self.dataset is None or not self.dataset.name


@dataclass
class ImagesConfig(DataUseConfig, ConditionedConfig):
    """The keys of commands that read any number of images: those of `input`, or else of the data."""

    input: Place | None = MISSING
    num_images: int | None = limited(at_least=1)
    skip_damaged: bool = MISSING


@dataclass
class SampleConfig(ConditionedConfig):
    complete: Place | None = MISSING
    rows: int | None = limited(at_least=1)
    num_samples: int = limited(at_least=1, at_most=10**9)
    sampling: dict[str, Any] = MISSING
    format: str = limited(choices=("grid", "npz", "png", "wav", "gif"))


@dataclass
class InterpolateConfig(DataUseConfig, ConditionedConfig):
    path: str | None = limited(choices=("spherical", "linear"))
    images: list[Place] | None = MISSING
    seeds: list[int] | None = MISSING
    rows: int = limited(at_least=1, at_most=1000)
    steps: int = limited(at_least=2, at_most=1000)


@dataclass
class TraverseConfig(DataUseConfig, ConditionedConfig):
    input: Place | None = MISSING
    latents: list[int] | None = MISSING
    plane: list[int] | None = MISSING
    extent: float = limited(above=0, at_most=100)
    steps: int = limited(at_least=2, at_most=1000)
    rows: int = limited(at_least=1, at_most=1000)


@dataclass
class TranslateConfig(DataUseConfig):
    input: Place | None = MISSING
    to: str = MISSING
    draws: int = limited(at_least=1, at_most=1000)
    derive: bool = MISSING
    skip_damaged: bool = MISSING


@dataclass
class RestoreConfig(ImagesConfig):
    task: str = limited(choices=("inpaint", "upscale", "colourise", "deblur"))
    mask: str = MISSING
    scale: int = limited(at_least=2, at_most=64)
    blur: float = limited(above=0, at_most=100)
    degraded: bool = MISSING
    draws: int = limited(at_least=1, at_most=1000)
    sampling: dict[str, Any] = MISSING


@dataclass
class ScoreConfig(ImagesConfig):
    against: Place | None = MISSING
    method: str | None = MISSING
    threshold: float | None = limited(above=0, at_most=0.5)
    importance_samples: int = limited(at_least=1, at_most=10**5)
    shown: int = limited(at_least=1, at_most=10_000)


@dataclass
class EncodeConfig(ImagesConfig):
    plot: str = limited(choices=("pca", "tsne", "none"))


@dataclass
class ExportConfig(UseConfig):
    onnx: bool = MISSING
    tolerance: float = limited(at_least=0)


@dataclass
class AnimateConfig:
    """The keys of `genlab animate`."""

    run: Place = MISSING
    output_dir: Place = MISSING
    name: str | None = MISSING
    frames: int = limited(at_least=2, at_most=50)
    columns: int = limited(at_least=1, at_most=50)
    milliseconds: int = limited(at_least=20, at_most=10_000)


@dataclass
class CompareConfig:
    """The keys of `genlab compare`."""

    runs: Places = MISSING
    metric: str | None = MISSING
    direction: str | None = limited(choices=("min", "max"))
    output: Place | None = MISSING


@dataclass
class EvaluateConfig(EvaluationConfig, DataUseConfig):
    quick: bool = MISSING
    num_images: int | None = limited(at_least=1, at_most=10**9)
    split: str = limited(choices=("validation", "train"))


@dataclass(frozen=True)
class Command:
    """summary: what it does, in one line. schema: its keys, registered with Hydra as NAME_schema."""

    summary: str
    schema: type


COMMANDS = {
    "train": Command("train a model, or a sweep of models with -m", TrainConfig),
    "resume": Command("continue a run that was stopped, killed or finished", ResumeConfig),
    "list": Command("list models, datasets, networks and metrics, and what fits what", ListConfig),
    "doctor": Command("check the installation, the machine and the folders", DoctorConfig),
    "data": Command("show a dataset before any training", DataConfig),
    "info": Command("show what a run is and how it stands", InfoConfig),
    "sample": Command("draw new images from a trained run", SampleConfig),
    "reconstruct": Command("show images beside their reconstructions by a trained run", ImagesConfig),
    "interpolate": Command("walk from one image to another through the latent space", InterpolateConfig),
    "traverse": Command("vary one latent dimension at a time", TraverseConfig),
    "translate": Command("translate images to the other domain", TranslateConfig),
    "restore": Command("fill in, enlarge, colour or sharpen images by a trained run", RestoreConfig),
    "score": Command("rate how unlikely images are, and find outliers", ScoreConfig),
    "encode": Command("write the latents of images, and plot them", EncodeConfig),
    "animate": Command("show how a run learned, as an animation and a strip", AnimateConfig),
    "evaluate": Command("measure the quality of a trained run", EvaluateConfig),
    "compare": Command("put runs into one table and one page", CompareConfig),
    "export": Command("write networks for use without GenLab", ExportConfig),
}

_TRAINING_ONLY = ("compile", "micro_batch", "processes")


OPEN_GROUPS = ("condition", "sampling")
"""Keys of commands that hold a group whose entries depend on the run's model."""

SHORT_KEYS = {"label": "condition.label"}
"""Short forms of keys."""


def ignored_device_keys(command: str) -> tuple[str, ...]:
    """Keys of `device` that `command` does not use. All commands share the device files, so they cannot have separate
    schemas. Exported networks are float32 and checked on the CPU."""
    exceptions = {"train": (), "export": (*_TRAINING_ONLY, "precision", "memory_format", "memory_budget")}
    return exceptions.get(command, _TRAINING_ONLY)
