"""A laboratory for laws: any model, made small, on tiny data, built by the code that `genlab train` runs.

No model is named here. Models are found among the configs, made small by the keys that their configs hold, and given
what they require. A case is a model on data of a kind: "NAME" on the kind of the model's own dataset, "NAME@KIND" on
each other kind that it can model. A model whose recipe rests on that of another one of its class is no case, but a
variant.
"""

import copy
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from omegaconf import OmegaConf
from random_examples import RandomExamples
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.utils import parametrize

from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.metrics_file import MetricsFile
from genlab.callbacks.status_file import StatusFile
from genlab.callbacks.validation import Validation
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import RunStatus
from genlab.config.build import build_model, build_source
from genlab.config.check import locate
from genlab.config.compose import compose_command, compose_job, register
from genlab.config.options import bases, class_of, dataset_defaults, own_content, read_option
from genlab.config.paths import config_file, options
from genlab.contract.data import DataSpec
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import DeviceConfig, RunConfig
from genlab.data.binarized import Binarized
from genlab.data.loading import Loader
from genlab.data.source import Source
from genlab.media.kinds import shown_kind
from genlab.networks.network import Network
from genlab.runs import train as runs
from genlab.runs.callbacks import directions
from genlab.system import distributed
from genlab.training.trainer import Trainer

MODELS = options("model")

CPU = torch.device("cpu")

SMALL_NETWORK = {"hidden": [16], "channels": 4, "max_channels": 8, "width": 4, "discriminator_width": 4, "blocks": 1}
SMALL_NETWORK |= {"latent_dim": 3, "embedding_dim": 3, "layers": 2, "levels": 2, "widths": [8, 8], "steps": 2}
SMALL_NETWORK |= {"patches": 8, "critic_steps": 2, "planned_steps": 10}
"""Sizes by the names of the keys under `model` and `network`."""

SMALL_DATA = {"size": 16, "num_images": 80, "num_train": 64, "num_validation": 16}
"""Sizes by the names of the keys under `dataset`."""

QUIET = ["device=cpu", "device.threads=1", "device.precision=fp32", "logger.console=false", "logger.tensorboard=false"]


def device_config(**settings) -> DeviceConfig:
    """`configs/device/cpu.yaml` on one thread, with other `settings`."""
    return replace(compose("vae").device, **settings)


def keys_of(model: str) -> tuple[str, ...]:
    """The keys under `model` of a model's recipe."""
    return tuple(read_option("model", model)["model"])


@cache
def _values(*choices: str) -> dict[str, Any]:
    """The config that `choices` lead to, as plain values."""
    register()
    return compose_command("train", list(choices)).values


@cache
def own_kind(model: str) -> str:
    """The kind of the model's own dataset, read from the files: Hydra would take seconds for all models."""
    chosen = defaults("train") | defaults(f"model/{model}")
    return class_of("dataset", chosen["dataset"]).kind


def defaults(name: str) -> dict[str, str]:
    """The choices by group that begin a file of settings."""
    entries = OmegaConf.load(config_file(f"{name}.yaml")).get("defaults", [])
    choices = [item for entry in entries if not isinstance(entry, str) for item in entry.items()]
    return {group.removeprefix("override /"): choice for group, choice in choices}


def case(model: str, kind: str) -> str:
    return model if kind == own_kind(model) else f"{model}@{kind}"


def model_of(case: str) -> str:
    return case.partition("@")[0]


def kind_of(case: str) -> str:
    model, _, kind = case.partition("@")
    return kind or own_kind(model)


def own_class(model: str) -> bool:
    """Whether the model is of another class than those whose recipes it rests on, which on other kinds are as it is."""
    resting = bases(own_content("model", model))
    return class_of("model", model) not in [class_of("model", base) for base in resting]


CASES = [case(model, kind) for model in MODELS if own_class(model) for kind in sorted(class_of("model", model).kinds)]

VARIANTS = [model for model in MODELS if not own_class(model)]
"""Other settings of those, on their own kind, for laws about what a step does."""


@cache
def dataset_of(kind: str, requires: frozenset[str]) -> str:
    """The first dataset of a kind that needs no file and provides what is required."""
    for name in options("dataset"):
        settings = dataset_defaults(name) if class_of("dataset", name).kind == kind else {"path": None}
        if not settings.keys() & {"path", "data_dir"} and requires <= build_source(settings).spec.provides:
            return name
    raise AssertionError(f"no dataset of kind {kind} without files provides {sorted(requires)}")


def choices_of(case: str) -> list[str]:
    """The overrides that choose the model of a case, and a dataset of its kind if its own is of another."""
    model, _, kind = case.partition("@")
    return [f"model={model}", *([f"dataset={dataset_of(kind, class_of('model', model).requires)}"] if kind else [])]


def small_network(case: str, *choices: str) -> list[str]:
    """Overrides that make the networks of a case small, also those of `choices` (as in "network=NAME")."""
    values, found = _values(*choices_of(case), *choices), []
    for node in ("model", "network"):
        keys = values[node] or ()
        found += [f"{node}.{key}={value}".replace(" ", "") for key, value in SMALL_NETWORK.items() if key in keys]
    return found


def small_data(*choices: str) -> list[str]:
    """Overrides that make the dataset small that `choices` (as in "model=NAME", "dataset=NAME") lead to."""
    keys = _values(*choices)["dataset"]
    return [f"dataset.{key}={value}" for key, value in SMALL_DATA.items() if key in keys]


def has_key(case: str, node: str, key: str) -> bool:
    """Whether the config of a case has `node.key`."""
    return key in (_values(*choices_of(case))[node] or ())


@cache
def _composed(*overrides: str) -> RunConfig:
    """Kept, as Hydra takes longer than the few steps of a small run."""
    register()
    return compose_job(overrides).config


def compose(case: str, *overrides: str, small: bool = True) -> RunConfig:
    """The config of `genlab train model=MODEL ...` on one CPU thread."""
    choices = [override for override in overrides if override.startswith(("network=", "dataset="))]
    sizes = small_network(case, *choices) if small else []
    return copy.deepcopy(_composed(*choices_of(case), *QUIET, *sizes, *overrides))


def examples(config: RunConfig, **sizes: int) -> Source:
    """Random examples for the model of a config, of the kind of its dataset."""
    kind = locate("dataset", config.dataset["_target_"]).kind
    source = RandomExamples(model_class(config), kind=kind, **sizes)
    how = config.dataset["binarize"]
    return source if how == "none" else Binarized(source, how)


def in_range(x: Tensor, data: DataSpec) -> bool:
    """Whether examples are finite, and within the bounds of their kind."""
    low, high = shown_kind(data).bounds or (-torch.inf, torch.inf)
    return bool(x.isfinite().all() and x.min() >= low and x.max() <= high)


def model_class(config: RunConfig) -> type[GenerativeModel]:
    return locate("model", config.model["_target_"])


def network(name: str, **sizes: Any) -> Network:
    """The network of `network=NAME` with those of `sizes` that it has."""
    settings = read_option("network", name)
    kind = locate("network", settings.pop("_target_"))
    return kind(**settings | {key: value for key, value in sizes.items() if key in settings})


def loaders(config: RunConfig, source: Source, rank: int = 0, world: int = 1) -> tuple[Loader, Loader]:
    shared = {"seed": config.seed, "device": CPU}
    settings = config.loader
    return (
        Loader(source, "train", settings, **shared, rank=rank, world=world),
        Loader(source, "validation", settings, **shared),
    )


def trainer(
    config: RunConfig, source: Source | None = None, *, rank: int = 0, world: int = 1, independent_rows: bool = False
) -> Trainer:
    """What `genlab train` would run, on `source` (default: random examples).

    independent_rows: without the layers through which an example's output depends on the other examples.
    """
    source = source or examples(config)

    def build(config: RunConfig, data: DataSpec) -> GenerativeModel:
        model = build_model(config, data)
        return without_mixing_layers(model) if independent_rows else model

    with mock.patch.object(runs, "build_model", build):
        return runs.build_trainer(config, source, loaders(config, source, rank, world), CPU)


def without_mixing_layers(model: GenerativeModel) -> GenerativeModel:
    """Batch norm out, dropout to 0, spectral norm off (its power iteration goes on with every forward pass)."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
    return without_dropout(model)


def dropout_of(model: nn.Module) -> list[nn.modules.dropout._DropoutNd]:
    """The layers that drop features: each process draws its own."""
    return [module for module in model.modules() if isinstance(module, nn.modules.dropout._DropoutNd) and module.p]


def without_dropout(model: GenerativeModel) -> GenerativeModel:
    for module in dropout_of(model):
        module.p = 0.0
    return model


def with_files(trainer: Trainer, config: RunConfig, source_spec: DataSpec, folder: Path) -> Trainer:
    """Give `trainer` the callbacks that measure and save, all at frequent intervals: a checkpoint at every step.

    Of several processes number 0 alone writes, as in a run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    constants = {"config": config.to_dict(), "data": source_spec.to_dict()}
    callbacks = [Validation(trainer.settings.validate_every), Checkpoints(run, 1, 100, constants)]
    if distributed.rank() == 0:
        callbacks = [MetricsFile(run.metrics), StatusFile(RunStatus(run.status, directions(config))), *callbacks]
    trainer.events.callbacks = callbacks
    return trainer


def two_processes(function: Callable[..., None], *arguments) -> None:
    """Run `function(rank, *arguments)` as rank 0 and 1 of a group of two processes that talk by gloo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Forked, as to import torch and to compose configs again takes longer than what they are to do.
    torch.multiprocessing.start_processes(_one_of_two, (port, function, arguments), nprocs=2, start_method="fork")


def _one_of_two(rank: int, port: int, function: Callable[..., None], arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        function(rank, *arguments)
        distributed.barrier()
    finally:
        dist.destroy_process_group()  # an exception would else be hidden behind an abort of gloo's threads


def run_steps(trainer: Trainer, steps: int) -> None:
    """The next `steps` steps of the run."""
    trainer.model.train()
    batches = trainer.train_loader.batches(trainer.settings.batch_size, trainer.step)
    for _, batch in zip(range(steps), batches, strict=False):
        trainer.train_step(batch)


def inputs_of(module: nn.Module) -> list[Tensor]:
    """What `module` is given from now on."""
    seen: list[Tensor] = []
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return seen


def snapshot(state):
    """A copy that later steps do not reach into."""
    return copy.deepcopy(state)


def differences(a, b, path: str = "") -> Iterator[str]:
    """Where two nested states differ, to the bit; NaN differs from nothing but other numbers."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() ^ b.keys(), key=str):
            yield f"{path}/{key}: only on one side"
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) != len(b):
            yield f"{path}: {len(a)} entries and {len(b)}"
        for number, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from differences(x, y, f"{path}/{number}")
    elif isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.dtype != b.dtype or not torch.equal(a, b):
            yield f"{path}: {a.flatten()[:3].tolist()} and {b.flatten()[:3].tolist()}"
    elif a != b:
        yield f"{path}: {a!r} and {b!r}"


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], rtol: float = 1e-9, atol: float = 1e-11) -> None:
    """The same entries, equal but for the order of additions."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(before[name], value)}
