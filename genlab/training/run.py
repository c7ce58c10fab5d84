"""One training run from a checked request: build everything, train, and leave a folder that tells its story."""

import json
import logging
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import distributed as dist
from torch import multiprocessing, nn

from genlab.callbacks.assembly import assemble
from genlab.callbacks.status import Status
from genlab.config.build import build_model, build_optimizers, build_schedule, build_source
from genlab.config.schema import DeviceConfig, LoaderConfig, TrainerConfig
from genlab.data.loading import Loader
from genlab.data.source import Source
from genlab.seeding import seeded
from genlab.training import checkpoint
from genlab.training.device import MEMORY_FORMATS, prepare
from genlab.training.distributed import rank, world
from genlab.training.provenance import environment
from genlab.training.trainer import Trainer
from genlab.training.transfer import transfer

log = logging.getLogger("genlab")

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: process 0 alone evaluates, trains classifiers and writes, and the defaults
of 10 and 30 minutes are less than an evaluation may take. A process that dies ends the others without it."""


class RunFailed(RuntimeError):
    """A run that began and could not end; its folder and message tell why."""


def train(request: dict, folder: Path) -> dict[str, float]:
    """Train as `request` (a checked config of plain values) says, into `folder`; returns the final metrics."""
    processes = request["device"]["processes"]
    if processes > 1 and "RANK" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        try:
            multiprocessing.spawn(_worker, (processes, port, request, folder), nprocs=processes)
        except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
            raise RunFailed(_reason(folder, error)) from error
        return json.loads((folder / "status.json").read_text())["final"]
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group(timeout=_PATIENCE)
    try:
        return _train(request, folder)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _reason(folder: Path, error: Exception) -> str:
    """Why one of several processes failed: what process 0 wrote down, else the last line of the traceback."""
    path = folder / "status.json"
    status = json.loads(path.read_text()) if path.is_file() else {}
    reason = status.get("reason") or str(error).strip().splitlines()[-1]
    if status.get("status") == "running":  # process 0 was ended with the one that failed
        path.write_text(json.dumps({**status, "status": "failed", "reason": reason}, indent=2))
    return f"{reason}\nrun        {folder} (status.json, train.log)"


def _worker(number: int, processes: int, port: int, request: dict, folder: Path) -> None:
    """One of the processes that `device.processes` asks for, set up as torchrun would."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number)}
    train(request, folder)


def _train(request: dict, folder: Path) -> dict[str, float]:
    config = OmegaConf.create(request)
    device = prepare(DeviceConfig(**request["device"]))
    source = build_source(config)
    loaders = _loaders(config, source, device)  # reads the data: what is wrong with it is said before a folder is made
    folder.mkdir(parents=True, exist_ok=True)
    writes = rank() == 0
    status = Status(folder / "status.json")
    handler = _log_to(folder / "train.log") if writes else logging.NullHandler()
    trainer = None
    try:
        trainer = build_trainer(config, source, loaders, device)
        trainer.callbacks = assemble(config, trainer, source, folder, status)
        if writes:
            (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))
            record = json.dumps(environment(device, loaders[0]), indent=2)
            (folder / "environment.json").write_text(record)
            for line in (*loaders[0].storage, *loaders[1].storage):
                log.info(line)
        trainer.fit()
        if writes:
            status.write("finished", trainer, trainer.stop_reason)
        return status.final
    except KeyboardInterrupt:
        if writes:
            status.write("interrupted", None, "stopped from the keyboard")
        raise
    except Exception as error:
        if writes:
            log.debug("the run failed", exc_info=True)
            status.write("failed", None, str(error))
        raise RunFailed(f"{error}\nrun        {folder} (status.json, train.log)") from error
    finally:
        if trainer:
            trainer.emit("close")
        log.removeHandler(handler)
        handler.close()


def _loaders(config: DictConfig, source: Source, device: torch.device) -> tuple[Loader, Loader]:
    shared = {
        "seed": config.seed,
        "device": device,
        "memory_format": MEMORY_FORMATS[config.device.memory_format],
    }
    settings = LoaderConfig(**config.loader)
    train = Loader(source, "train", settings, **shared, rank=rank(), world=world())
    return train, Loader(source, "validation", settings, **shared)


def build_trainer(config: DictConfig, source: Source, loaders: tuple[Loader, Loader], device: torch.device) -> Trainer:
    """Model, optimizers and schedule as the config says, ready to fit; callbacks are the caller's."""
    with seeded(config.seed):
        model = build_model(config, source.spec)
    if config.init_from:
        state = checkpoint.load(checkpoint.find(config.init_from))
        log.info(transfer(model, {**state["model"], **state["ema"]}))
    model.to(device, memory_format=MEMORY_FORMATS[config.device.memory_format])
    trainer = Trainer(
        model,
        build_optimizers(config, model),
        build_schedule(config),
        *loaders,
        settings=TrainerConfig(**config.trainer),
        device=DeviceConfig(**config.device),
        seed=config.seed,
    )
    if config.device.compile:
        for network in _networks(model):
            network.compile()
    return trainer


def _networks(module: nn.Module) -> Iterator[nn.Module]:
    """The children that are called as a whole, looking into containers."""
    for child in module.children():
        if isinstance(child, (nn.ModuleDict, nn.ModuleList)):
            yield from _networks(child)
        else:
            yield child


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.DEBUG)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    return handler
