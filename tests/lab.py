"""A laboratory for laws: any model, made small, on tiny data, built by the code that `genlab train` runs.

No model is named here. Models are found among the configs, made small by the keys that their configs hold, and given
what they require.
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
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.utils import parametrize

from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.metrics_file import MetricsFile
from genlab.callbacks.status_file import StatusFile
from genlab.callbacks.validation import Validation
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.status import RunStatus
from genlab.config.build import build_model
from genlab.config.check import locate
from genlab.config.compose import compose_command, compose_job, register
from genlab.config.options import read_option
from genlab.config.paths import options
from genlab.contract.data import DataSpec, Field
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import DeviceConfig, RunConfig
from genlab.data.loading import Loader
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.networks.network import Network
from genlab.runs import train as runs
from genlab.runs.callbacks import directions
from genlab.system import distributed
from genlab.training.trainer import Trainer

MODELS = options("model")

CPU = torch.device("cpu")

SMALL_NETWORK = {"hidden": [16], "channels": 4, "max_channels": 8, "width": 4, "discriminator_width": 4, "blocks": 1}
SMALL_NETWORK |= {"latent_dim": 3, "embedding_dim": 3}
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
def _keys_of_node(node: str, *choices: str) -> tuple[str, ...]:
    register()
    return tuple(compose_command("train", list(choices)).values[node] or ())


def small_network(model: str, *choices: str) -> list[str]:
    """Overrides that make the networks of `model` small, also those of `choices` (as in "network=NAME")."""
    found = []
    for node in ("model", "network"):
        keys = _keys_of_node(node, f"model={model}", *choices)
        found += [f"{node}.{key}={value}".replace(" ", "") for key, value in SMALL_NETWORK.items() if key in keys]
    return found


def small_data(*choices: str) -> list[str]:
    """Overrides that make the dataset small that `choices` (as in "model=NAME", "dataset=NAME") lead to."""
    keys = _keys_of_node("dataset", *choices)
    return [f"dataset.{key}={value}" for key, value in SMALL_DATA.items() if key in keys]


@cache
def _composed(*overrides: str) -> RunConfig:
    """Kept, as Hydra takes longer than the few steps of a small run."""
    register()
    return compose_job(overrides).config


def compose(model: str, *overrides: str, small: bool = True) -> RunConfig:
    """The config of `genlab train model=MODEL ...` on one CPU thread."""
    choices = [override for override in overrides if override.startswith(("network=", "dataset="))]
    sizes = small_network(model, *choices) if small else []
    return copy.deepcopy(_composed(f"model={model}", *QUIET, *sizes, *overrides))


class RandomExamples(Source):
    """Noise with the fields that a model of a kind may require, deterministic, without any file."""

    def __init__(self, model: type[GenerativeModel], train: int = 96, validation: int = 32, size: int = 16):
        self.kind = "image" if "image" in model.kinds else sorted(model.kinds)[0]
        shape = (1, size, size) if self.kind == "image" else (2,)
        domains = {"x": shape} if "x" in model.requires else {"a": (3, *shape[1:]), "b": (3, *shape[1:])}
        fields = {name: Field(self.kind, shape) for name, shape in domains.items()}
        if "x" in domains:
            fields["label"] = Field("label", size=3)
        paired = "pairs" in model.requires
        unknown = model.requires - set(fields) - {"pairs"}
        assert not unknown, f"the laboratory has no data for {unknown}: teach RandomExamples to make it"
        self.spec = DataSpec(fields, paired, num_examples=train)
        self.sizes = {"train": train, "validation": validation}

    def open(self, split: str) -> list[Examples]:
        generator = torch.Generator().manual_seed(len(split))
        count = self.sizes[split]

        def rows(field: Field) -> Tensor:
            if field.kind == "label":
                return torch.randint(field.size, (count,), generator=generator)
            if field.kind == "image":
                return torch.randint(0, 256, (count, *field.shape), dtype=torch.uint8, generator=generator)
            return torch.randn(count, *field.shape, generator=generator)

        tables = {name: rows(field) for name, field in self.spec.fields.items()}
        if self.spec.domains == ("x",) or self.spec.paired:
            return [ArrayExamples(**tables)]
        return [ArrayExamples(**{name: table}) for name, table in tables.items()]


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
    source = source or RandomExamples(model_class(config))

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
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
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
    torch.multiprocessing.spawn(_one_of_two, (port, function, arguments), nprocs=2)


def _one_of_two(rank: int, port: int, function: Callable[..., None], arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        function(rank, *arguments)
        distributed.barrier()
    finally:
        dist.destroy_process_group()  # an exception would else be hidden behind an abort of gloo's threads


def run_steps(trainer: Trainer, steps: int) -> None:
    """The first `steps` steps of the run."""
    trainer.model.train()
    for _, batch in zip(range(steps), trainer.train_loader.batches(trainer.settings.batch_size), strict=False):
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
