"""What a run says before its first step: on what it computes, what it trains, on which data, and for how long."""

from collections.abc import Iterator

import torch
from torch import nn

from genlab.config.options import option_of
from genlab.contract.settings import RunConfig
from genlab.data.source import Source
from genlab.runs.provenance import name_of_device
from genlab.system.distributed import world
from genlab.system.text import rounded
from genlab.training.trainer import Trainer


def opening(config: RunConfig, source: Source, trainer: Trainer) -> Iterator[str]:
    """A line each on device, model, data and steps."""
    threads = torch.get_num_threads()
    shared = f"{world()} processes of " if world() > 1 else ""
    words = [name_of_device(trainer.train_loader.device), f"{shared}{threads} thread{'s' * (threads > 1)}"]
    yield f"device     {', '.join([*words, config.device.precision])}"
    network = f", network {option_of('network', config.network['_target_'])}" if config.network else ""
    yield f"model      {config.choices.model}{network}: {count_parameters(trainer.model):,} parameters"
    yield f"           {', '.join(f'{name} {n:,}' for name, n in parameters_by_network(trainer.model).items())}"
    train, validation = (source.sizes[split] for split in ("train", "validation"))
    told = ", ".join([str(source.spec), *(f"{key}={value}" for key, value in source.protocol.items())])
    yield f"data       {config.choices.dataset}: {train} for training, {validation} for validation; {told}"
    epochs = f"{rounded(trainer.max_steps / trainer.steps_per_epoch)} epochs"
    first = f"{trainer.step + 1} to " if trainer.step else ""
    yield f"steps      {first}{trainer.max_steps}, of {trainer.settings.batch_size} examples each ({epochs})"


def parameters_by_network(model: nn.Module) -> dict[str, int]:
    """Numbers of parameters of the modules that a model consists of, as far as they have any."""
    counts = {name: count_parameters(child) for name, child in model.named_children()}
    return {name: count for name, count in counts.items() if count}


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
