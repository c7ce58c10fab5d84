"""One job of a sweep, in the process that a Hydra launcher chooses."""

import fcntl
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genlab.checkpoints.folder import JobFolder, SweepFolder
from genlab.checkpoints.lock import is_locked
from genlab.checkpoints.status import read_status, state_of
from genlab.config.compose import parse, plain, run_config
from genlab.contract.settings import DeviceConfig, RunConfig
from genlab.runs.processes import RunFailed, reason_of
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.sweeps.objective import objective
from genlab.sweeps.overview import job_record
from genlab.system import cores
from genlab.system.device import resolve
from genlab.system.files import open_plain, replace_text
from genlab.system.logs import log_to_console
from genlab.system.signals import SIGNALS, Interrupted
from genlab.system.small_files import read_json


class _Signals:
    """Signals that this pool worker received; after one it starts no further jobs."""

    received: list[int] = []
    may_raise = False  # while there is nothing to save


def run_job(config: DictConfig) -> float | None:
    """Train or resume one job; returns the final value of the sweep's metric.

    None if there is no such value, as in a failed job: its folder gives the reason, and other jobs continue.
    A signal raises `Interrupted` if jobs run one after another in the launching process. A pool worker instead declines
    all further jobs.
    """
    hydra = HydraConfig.get()
    in_pool = hydra.runtime.choices["hydra/launcher"] != "basic" and hydra.launcher.get("n_jobs") != 1
    if in_pool:
        _listen_for_signals(hydra.runtime.choices["hydra/launcher"])
    if _Signals.received:
        return None
    folder = JobFolder(Path(hydra.runtime.output_dir))
    run, sweep = run_config(plain(config), hydra.runtime.choices)
    _fit_into_sweep(run, hydra)
    overrides = list(hydra.overrides.task)
    sys.argv = ["genlab", "train", *overrides]  # recorded as provenance, in place of the worker's own
    log_to_console(logging.WARNING)
    try:
        _Signals.may_raise = True
        with _one_suspect_at_a_time(folder):
            return _recorded(folder, run, overrides, sweep.retry).get(str(objective(run, sweep)[0]))
    except Interrupted as error:
        if not in_pool:
            raise
        _Signals.received.append(error.number)
        return None
    finally:
        _Signals.may_raise = False


def _fit_into_sweep(run: RunConfig, hydra: DictConfig) -> None:
    """Limit a run to its part of the machine, and leave the terminal to the sweep's progress bar."""
    run.logger.console = False
    if run.logger.hparams is None:  # show the settings that vary; all would hide them
        run.logger.hparams = sorted({override.key_or_group for override in parse(hydra.overrides.task)})
    for key, value in share_of_machine(hydra, run.device).items():
        setattr(run.device, key, value)


def share_of_machine(hydra: DictConfig, device: DeviceConfig) -> dict[str, Any]:
    """Device settings for jobs that run concurrently on one machine: each gets a part of the cores as threads, and its
    own GPUs."""
    launcher, settings = hydra.runtime.choices["hydra/launcher"], dict[str, Any]()
    num_cores = {
        "joblib": lambda: cores.available() // hydra.launcher.n_jobs if hydra.launcher.n_jobs > 1 else None,
        "ray": lambda: hydra.launcher.ray.remote.get("num_cpus") or 1,  # Ray's own default
        "submitit_local": lambda: hydra.launcher.cpus_per_task or 1,  # it starts all jobs at once
        "submitit_slurm": lambda: hydra.launcher.cpus_per_task,  # if None, Slurm binds the job to its cores
    }.get(launcher, lambda: None)()
    if device.threads is None and num_cores is not None:
        settings["threads"] = max(1, num_cores // device.processes)
    if launcher == "joblib" and resolve(device.name).type == "cuda":
        settings["index"] = (device.index + hydra.job.num * device.processes) % torch.cuda.device_count()
    return settings


def _recorded(folder: JobFolder, run: RunConfig, overrides: list[str], retry: bool) -> dict[str, float]:
    """The job's final metrics, empty if it failed. `job.json` records that it started, and then that it ended."""
    earlier = job_record(folder)
    record = {"overrides": overrides, "begun": os.urandom(8).hex(), "ended": False}
    replace_text(folder.record, json.dumps(record), durable=False)
    final: dict[str, float] = {}
    try:
        if retry or state_of(folder) != "failed" or _differ(earlier.get("overrides"), overrides):
            final = _train(run, folder)
    except AnotherRun as error:
        record["refused"] = str(error)
    except Exception as error:
        record_failure(folder, error)
    replace_text(folder.record, json.dumps(record | {"ended": True}), durable=False)
    return final


class AnotherRun(ValueError):
    """The job's folder holds a run with other settings, which is left unchanged."""


def _train(run: RunConfig, folder: JobFolder) -> dict[str, float]:
    """Start, resume or skip the run; returns its final metrics."""
    if not folder.holds_run:
        return train(run, folder)
    stopped = StoppedRun.read(folder.path)
    if differences := stopped.differences(run):
        raise AnotherRun("\n".join([f"{folder}: holds another run: {differences[0]}", *differences[1:]]))
    if stopped.is_done(run):
        return read_json(folder.status)["final"]
    return train(run, folder, stopped.start)


def _differ(earlier: list[str] | None, overrides: list[str]) -> bool:
    """Whether the folder was used by a different job."""
    before, now = ([line for line in lines or [] if not line.startswith("sweep.")] for lines in (earlier, overrides))
    return before != now


def record_failure(folder: JobFolder, error: Exception) -> None:
    """Record a failure in `status.json` and `train.log`, unless training has done so itself."""
    if is_locked(folder.path) or (isinstance(error, RunFailed) and state_of(folder) == "failed"):
        return  # locked: another process is training there
    with open_plain(folder.log, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
        file.write("".join(traceback.format_exception(error)).encode())
    status: dict[str, Any] = {"step": 0, "alarms": [], "final": {}, "directions": {}}
    with suppress(ValueError):
        status |= read_status(folder)
    status |= {"status": "failed", "reason": reason_of(error), "process": os.getpid()}
    replace_text(folder.status, json.dumps(status, indent=2))


def run_one_at_a_time(sweep: SweepFolder, numbers: set[int]) -> None:
    """Run these jobs of a sweep one at a time: one of them may have crashed its worker."""
    replace_text(sweep.suspects, json.dumps(sorted(numbers)), durable=False)


@contextmanager
def _one_suspect_at_a_time(folder: JobFolder) -> Iterator[None]:
    """If this job is a suspect, wait until no other suspect is training."""
    sweep = SweepFolder(folder.path.parent)
    if int(folder.path.name) not in read_json(sweep.suspects):
        yield
        return
    with open_plain(sweep.turn, os.O_RDWR | os.O_CREAT) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _listen_for_signals(launcher: str) -> None:
    """Handle signals outside of training: they end the current job and prevent further ones."""

    def note(number: int, frame: Any) -> None:
        _Signals.received.append(number)
        if _Signals.may_raise:
            raise Interrupted(number)

    if launcher == "joblib":
        for number in SIGNALS:
            signal.signal(number, note)
    if launcher.startswith("submitit"):  # sends SIGUSR2 shortly before the time limit
        signal.signal(signal.SIGUSR2, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
