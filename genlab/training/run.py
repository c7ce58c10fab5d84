"""One training run from a checked request: build everything, train, and leave a folder that tells its story."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from traceback import clear_frames

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from genlab.callbacks.assembly import assemble
from genlab.callbacks.status import Status
from genlab.config.build import build_model, build_optimizers, build_schedule, build_source
from genlab.config.schema import DeviceConfig, LoaderConfig, TrainerConfig
from genlab.config.stranger import check_state
from genlab.config.untrusted_files import read_json
from genlab.data.loading import Loader
from genlab.data.source import Source
from genlab.files import replace_text
from genlab.networks.global_batch_norm import share_statistics
from genlab.seeding import seeded
from genlab.training import checkpoint
from genlab.training.checkpoint import Start
from genlab.training.device import MEMORY_FORMATS, prepare
from genlab.training.distributed import Deserted, largest, rank, world
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.lock import holds_run, locked
from genlab.training.processes import (
    RunFailed,
    in_processes,
    lead,
    leads,
    reason_of,
    under_one_command,
    under_torchrun,
    word_of_the_first,
)
from genlab.training.provenance import changed_environment, environment, with_resumption
from genlab.training.trainer import Trainer
from genlab.training.transfer import transfer

log = logging.getLogger("genlab")


def train(request: dict, folder: Path, start: Start | None = None) -> dict[str, float]:
    """Train as `request` (a checked config of plain values) says, into `folder`; returns the final metrics.

    start: where the run in `folder` goes on from, None for a new one. `Interrupted` where a signal ended it.
    """
    processes = request["device"]["processes"]
    if leads():
        return lead(_train, (request, folder, start))
    if processes > 1 and not under_torchrun():
        return in_processes(processes, folder, _train, (request, folder, start))
    return _train(request, folder, start)


def carry_out_under_torchrun(command: Callable[[], int]) -> int:
    """Carry out a command that trains, in all processes that torchrun started; returns its exit code."""
    return under_one_command(command, _train)


def _train(request: dict, folder: Path, start: Start | None) -> dict[str, float]:
    config = OmegaConf.create(request)
    device = prepare(DeviceConfig(**request["device"]))
    source = build_source(config)
    loaders = _loaders(config, source, device)  # reads the data: what is wrong with it is said before a folder is made
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if rank() == 0:
            stack.enter_context(locked(folder))
            if start is None and holds_run(folder):
                raise ValueError(f"{folder}: holds a run by now; go on with it by genlab resume run={folder}")
        state = _state(config, start.path, device) if start and start.path else None
        if rank() == 0:
            stack.enter_context(_log_to(folder / "train.log"))
            _write_records(config, folder, loaders, device)
            if state:
                checkpoint.make_last(start.path, state["step"], start.damaged)
        interruption = stack.enter_context(Interruption().listening())
        final = _fit(config, folder, state, source, loaders, device, interruption)
    if number := largest(interruption.received or 0):  # those that were to follow this run are not to begin
        raise Interrupted(number, f"{Interrupted(number)}, when the run had ended")
    return final


def _fit(
    config: DictConfig,
    folder: Path,
    state: dict | None,
    source: Source,
    loaders: tuple[Loader, Loader],
    device: torch.device,
    interruption: Interruption,
) -> dict[str, float]:
    """Build everything, train from `state` on if there is one, and leave word in `status.json` of how that ended."""
    writes = rank() == 0
    status = Status(folder / "status.json")
    if state:
        status.go_on(state)
    trainer = None
    try:
        with interruption.breakable(), _explaining():
            trainer = build_trainer(config, source, loaders, device, fresh=state is None)
            trainer.interruption = interruption
            trainer.callbacks = assemble(config, trainer, source, folder, status)
            if state:
                trainer.load_state_dict(state)
                state.clear()  # it would be held beside the model for the whole run
        with _explaining():
            trainer.fit()
        if writes:
            status.write("finished", trainer, trainer.stop_reason)
        return status.final
    except KeyboardInterrupt as error:
        clear_frames(error.__traceback__)  # which hold loaders, whose workers would be waited for at exit
        if writes:
            status.write("interrupted", None, str(error))
        raise
    except Exception as error:
        if writes:
            log.debug("the run failed", exc_info=True)
        elif not isinstance(error, Deserted):
            with _log_to(folder / "train.log"):
                log.debug("process %d of the run failed", rank(), exc_info=True)
        clear_frames(error.__traceback__)
        if writes:
            with suppress(OSError):  # a full disk may be why it failed
                status.write("failed", None, reason_of(error))
        raise RunFailed(reason_of(error), folder) from error
    finally:
        if trainer:
            with suppress(OSError):  # a full disk has had its say above
                trainer.emit("close")


@contextmanager
def _explaining() -> Iterator[None]:
    """Where another process left this one alone, say why it did."""
    try:
        yield
    except Deserted as error:
        raise word_of_the_first() from error


def _state(config: DictConfig, path: Path, device: torch.device) -> dict:
    """The state to go on from; a run that had been stopped early goes on where more patience is asked for."""
    state = checkpoint.load(path, device)
    check_state(state)
    if state["config"]["trainer"]["early_stop_patience"] != config.trainer.early_stop_patience:
        state["stop_reason"] = None
    return state


def _write_records(config: DictConfig, folder: Path, loaders: tuple[Loader, Loader], device: torch.device) -> None:
    """`config.yaml` and `environment.json`; a run that goes on is held against that. `ValueError` on other data."""
    record, known = environment(device, loaders[0]), folder / "environment.json"
    if known.is_file():
        first = read_json(known)
        try:
            warning = changed_environment(first, record)
            record = with_resumption(first, record)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{known}: is damaged; remove it to go on unchecked") from error
        if warning:
            log.warning(warning)
    replace_text(folder / "config.yaml", OmegaConf.to_yaml(config))
    replace_text(known, json.dumps(record, indent=2))
    for line in (*loaders[0].storage, *loaders[1].storage):
        log.info(line)


def _loaders(config: DictConfig, source: Source, device: torch.device) -> tuple[Loader, Loader]:
    shared = {
        "seed": config.seed,
        "device": device,
        "memory_format": MEMORY_FORMATS[config.device.memory_format],
    }
    settings = LoaderConfig(**config.loader)
    train = Loader(source, "train", settings, **shared, rank=rank(), world=world())
    return train, Loader(source, "validation", settings, **shared)


def build_trainer(
    config: DictConfig,
    source: Source,
    loaders: tuple[Loader, Loader],
    device: torch.device,
    fresh: bool = True,
) -> Trainer:
    """Model, optimizers and schedule as the config says, ready to fit; callbacks are the caller's.

    fresh: False where a state is to be loaded, so that other runs' weights need not be.
    """
    with seeded(config.seed):
        model = build_model(config, source.spec)
    if config.init_from and fresh:
        _, state = checkpoint.find(config.init_from)
        log.info(transfer(model, {**state["model"], **state["ema"]}))
    model.to(device, memory_format=MEMORY_FORMATS[config.device.memory_format])
    if world() > 1:
        share_statistics(model)
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


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write the log to `path` as well; what a thread dies of is told there, as the main thread says it to the user."""
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.DEBUG)
    handler.handleError = lambda record: None  # a full disk must not bury its one message under the log's complaints
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    before = threading.excepthook
    threading.excepthook = lambda died: log.debug("a thread died", exc_info=died.exc_value)
    try:
        yield
    finally:
        threading.excepthook = before
        log.removeHandler(handler)
        handler.close()
