"""One training run from a checked config: build everything, train, and record the run in its folder."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from traceback import clear_frames

import torch

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.lock import locked
from genlab.checkpoints.rotation import make_last
from genlab.checkpoints.status import RunStatus
from genlab.config.build import build_model, build_optimizers, build_schedule, build_source
from genlab.config.places import with_absolute_places
from genlab.config.rules import followed
from genlab.config.stored import as_yaml, check_state
from genlab.contract.settings import RunConfig
from genlab.data.loading import Loader
from genlab.data.source import Source
from genlab.media.kinds import numbered
from genlab.networks.global_batch_norm import share_statistics
from genlab.runs.callbacks import directions, make_callbacks
from genlab.runs.opening import opening
from genlab.runs.processes import RunFailed, first_failure, in_all_processes, reason_of, under_one_command
from genlab.runs.provenance import environment, resumed
from genlab.runs.transfer import transfer
from genlab.system import spin
from genlab.system.device import MEMORY_FORMATS, prepare
from genlab.system.distributed import PeerLost, largest, rank, world
from genlab.system.files import replace_text
from genlab.system.logs import IN_FILE, log_to_file
from genlab.system.portions import networks
from genlab.system.seeding import seeded
from genlab.system.signals import Interrupted, Interruption
from genlab.system.small_files import read_json
from genlab.system.text import printable, shell_line
from genlab.training.state import load_state_dict
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")


def train(config: RunConfig, folder: RunFolder, start: Start | None = None) -> dict[str, float]:
    """Train a checked `config` into `folder`; returns the final metrics.

    start: where the run in `folder` resumes, None for a new one. `Interrupted` if a signal ended it.
    """
    config = with_absolute_places(config)
    log.info("run        %s", printable(str(folder)))
    try:
        return in_all_processes(config.device.processes, folder, _train, (config, folder, start))
    except (RunFailed, Interrupted) as error:
        with log_to_file(folder.log):
            log.error("%s", reason_of(error), extra=IN_FILE)
        raise


def run_under_torchrun(command: Callable[[], int]) -> int:
    """Run a training command in all processes of torchrun; returns its exit code."""
    return under_one_command(command, _train)


def _train(config: RunConfig, folder: RunFolder, start: Start | None) -> dict[str, float]:
    device = prepare(config.device)
    source = build_source(config.dataset)
    loaders = _loaders(config, source, device)  # reads data, so that problems are reported before a folder is created
    folder.path.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if rank() == 0:
            stack.enter_context(locked(folder.path))
            if start is None and folder.holds_run:
                again = shell_line("genlab", "resume", f"run={folder}")
                raise ValueError(f"{folder}: holds a run by now; continue it by {again}")
        state = _state(config, start.path, device) if start and start.path else None
        if rank() == 0:
            stack.enter_context(log_to_file(folder.log))
            _write_records(config, folder, source, loaders, device)
            if start and start.path and state:
                make_last(start.path, state["step"], start.damaged)
        interruption = stack.enter_context(Interruption().listening())
        final = _fit(config, folder, state, source, loaders, interruption)
    if number := largest(interruption.received or 0):  # the next runs of a sweep must not start
        raise Interrupted(number, f"{Interrupted(number)}, when the run had ended")
    return final


def _fit(
    config: RunConfig,
    folder: RunFolder,
    state: dict | None,
    source: Source,
    loaders: tuple[Loader, Loader],
    interruption: Interruption,
) -> dict[str, float]:
    """Build everything, train (from `state` if there is one), and write the outcome to `status.json`."""
    status = RunStatus(folder.status, directions(config))
    write: Callable[[str, str | None], None] = status.write if rank() == 0 else lambda *outcome: None
    if state:
        status.step = state["step"]
        status.load_state_dict(state["callbacks"]["status"])
    trainer = None
    try:
        try:
            with interruption.interruptible():
                trainer = build_trainer(config, source, loaders, loaders[0].device, fresh=state is None)
                trainer.interruption = interruption
                trainer.events.callbacks = make_callbacks(config, trainer, source, folder, status)
                if state:
                    load_state_dict(trainer, state)
                    state.clear()  # otherwise it stays in memory for the whole run
                for line in opening(config, source, trainer) if rank() == 0 else ():
                    log.info(line)
            trainer.fit()
        except PeerLost as error:  # another process has died: its error is this one's
            raise first_failure() from error
        write("finished", trainer.stop_reason)
        return status.final
    except KeyboardInterrupt as error:
        clear_frames(error.__traceback__)  # frames hold loaders, whose workers would delay the exit
        write("interrupted", str(error))
        raise
    except Exception as error:
        if rank() == 0:
            log.debug("the run failed", exc_info=True)
        elif not isinstance(error, PeerLost):
            with log_to_file(folder.log):
                log.debug("process %d of the run failed", rank(), exc_info=True)
        clear_frames(error.__traceback__)
        with suppress(OSError):  # a full disk may be the cause
            write("failed", reason_of(error))
        raise RunFailed(reason_of(error), folder) from error
    finally:
        if trainer:
            with suppress(OSError):  # a full disk was reported above
                trainer.emit("on_close")


def _state(config: RunConfig, path: Path, device: torch.device) -> dict:
    """The state to resume from. An early-stopped run continues if `early_stop_patience` has changed."""
    state = checkpoint.load(path, device)
    check_state(state)
    if state["config"]["trainer"]["early_stop_patience"] != config.trainer.early_stop_patience:
        state["stop_reason"] = None
    return state


def _write_records(
    config: RunConfig, folder: RunFolder, source: Source, loaders: tuple[Loader, Loader], device: torch.device
) -> None:
    """Write `config.yaml` and `environment.json`; `ValueError` if a resumed run's data are not those on record."""
    record = environment(device, loaders[0])
    if folder.environment.is_file():
        first = read_json(folder.environment)
        try:
            record = resumed(first, record)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder.environment}: is damaged; remove it to continue unchecked") from error
    replace_text(folder.config, as_yaml(config))
    replace_text(folder.environment, json.dumps(record, indent=2))
    for note in source.notes:
        log.warning(note)
    recipe = [line] if (line := followed(config, source)) else []
    for line in (*recipe, *_classes(source), *loaders[0].storage, *loaders[1].storage):
        log.info(line)
    spin.report(config.device.spin)


def _classes(source: Source) -> Iterator[str]:
    """A line on the classes of each label that has names."""
    for name, field in source.spec.fields.items():
        if (names := numbered(field)) and field.size:
            yield f"{name}: {field.size} classes: {names}"


def _loaders(config: RunConfig, source: Source, device: torch.device) -> tuple[Loader, Loader]:
    layout = MEMORY_FORMATS[config.device.memory_format]
    loader = partial(Loader, source, settings=config.loader, seed=config.seed, device=device, memory_format=layout)
    return loader(split="train", rank=rank(), world=world()), loader(split="validation")


def build_trainer(
    config: RunConfig,
    source: Source,
    loaders: tuple[Loader, Loader],
    device: torch.device,
    fresh: bool = True,
) -> Trainer:
    """A trainer with model, optimizers and schedule from the config; the caller adds callbacks.

    fresh: False if a state will be loaded, so that `init_from` is not.
    """
    with seeded(config.seed):
        model = build_model(config, source.spec)
    if config.init_from and fresh:
        _, state = checkpoint.find(config.init_from)
        log.info(transfer(model, {**state["model"], **state["ema"]}))
    model.to(device).to(memory_format=MEMORY_FORMATS[config.device.memory_format])
    if world() > 1:
        share_statistics(model)
    if hasattr(model, "example_weights"):
        loaders[0].weight_examples(lambda: model.get_buffer("example_weights"))
    trainer = Trainer(
        model,
        build_optimizers(config, model),
        build_schedule(config),
        *loaders,
        settings=config.trainer,
        device=config.device,
        seed=config.seed,
    )
    if config.device.compile:
        mode = "reduce-overhead" if device.type == "cuda" else "default"  # the first records CUDA graphs
        for network in networks(model):
            network.compile(mode=mode)
    return trainer
