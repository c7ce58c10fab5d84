"""One job of a sweep, in whichever process a launcher of Hydra's puts it."""

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
    """Those that this process of a pool got: it begins no other job."""

    received: list[int] = []
    may_raise = False  # while nothing is to be saved


def run_job(config: DictConfig) -> float | None:
    """Train one job, or what is left of it; returns the final value of the sweep's metric.

    None where there is no such value, as in a job that failed: its folder tells why, and no other job stops for it.
    `Interrupted` in the process that launches jobs one after another; a process of its own, which a pool gives jobs
    until none is left, declines them.
    """
    hydra = HydraConfig.get()
    of_its_own = hydra.runtime.choices["hydra/launcher"] != "basic" and hydra.launcher.get("n_jobs") != 1
    if of_its_own:
        _listen_for_signals(hydra.runtime.choices["hydra/launcher"])
    if _Signals.received:
        return None
    folder = JobFolder(Path(hydra.runtime.output_dir))
    run, sweep = run_config(plain(config), hydra.runtime.choices)
    _fit_into_sweep(run, hydra)
    overrides = list(hydra.overrides.task)
    sys.argv = ["genlab", "train", *overrides]  # what provenance records: a worker's own command line says nothing
    log_to_console(logging.WARNING)
    try:
        _Signals.may_raise = True
        with _alone(folder):
            return _recorded(folder, run, overrides, sweep.retry).get(str(objective(run, sweep)[0]))
    except Interrupted as error:
        if not of_its_own:
            raise
        _Signals.received.append(error.number)
        return None
    finally:
        _Signals.may_raise = False


def _fit_into_sweep(run: RunConfig, hydra: DictConfig) -> None:
    """Give a run its share of the machine, and leave the terminal to the sweep's bar."""
    run.logger.console = False
    if run.logger.hparams is None:  # a dashboard of all settings hides those that the user is after
        run.logger.hparams = sorted({override.key_or_group for override in parse(hydra.overrides.task)})
    for key, value in share_of_machine(hydra, run.device).items():
        setattr(run.device, key, value)


def share_of_machine(hydra: DictConfig, device: DeviceConfig) -> dict[str, Any]:
    """What of `device` is set so that jobs side by side on one machine do not get in each other's way: none gets more
    threads than its share of the cores, and each its GPUs."""
    launcher, settings = hydra.runtime.choices["hydra/launcher"], dict[str, Any]()
    allotted = {
        "joblib": lambda: cores.available() // hydra.launcher.n_jobs if hydra.launcher.n_jobs > 1 else None,
        "ray": lambda: hydra.launcher.ray.remote.get("num_cpus") or 1,  # Ray's own default
        "submitit_local": lambda: hydra.launcher.cpus_per_task or 1,  # it starts all jobs at once
        "submitit_slurm": lambda: hydra.launcher.cpus_per_task,  # where None, Slurm binds the job to its cores
    }.get(launcher, lambda: None)()
    if device.threads is None and allotted is not None:
        settings["threads"] = max(1, allotted // device.processes)
    if launcher == "joblib" and resolve(device.name).type == "cuda":
        settings["index"] = (device.index + hydra.job.num * device.processes) % torch.cuda.device_count()
    return settings


def _recorded(folder: JobFolder, run: RunConfig, overrides: list[str], retry: bool) -> dict[str, float]:
    """The job's final metrics, empty where it failed; `job.json` says that it is under way, and then that it ended."""
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
    """The job's folder holds the run of other settings, which is left as it is."""


def _train(run: RunConfig, folder: JobFolder) -> dict[str, float]:
    """The final metrics of a run that begins, goes on, or has ended."""
    if not folder.holds_run:
        return train(run, folder)
    stopped = StoppedRun.read(folder.path)
    if differences := stopped.differences(run):
        raise AnotherRun("\n".join([f"{folder}: holds another run: {differences[0]}", *differences[1:]]))
    if stopped.is_done(run):
        return read_json(folder.status)["final"]
    return train(run, folder, stopped.start)


def _differ(earlier: list[str] | None, overrides: list[str]) -> bool:
    """Whether the job in this place was another one."""
    before, now = ([line for line in lines or [] if not line.startswith("sweep.")] for lines in (earlier, overrides))
    return before != now


def record_failure(folder: JobFolder, error: Exception) -> None:
    """Let `status.json` and `train.log` tell of a failure, where training has not done so itself."""
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
def _alone(folder: JobFolder) -> Iterator[None]:
    """Wait until no other suspect is training, if this job is one."""
    sweep = SweepFolder(folder.path.parent)
    if int(folder.path.name) not in read_json(sweep.suspects):
        yield
        return
    with open_plain(sweep.turn, os.O_RDWR | os.O_CREAT) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _listen_for_signals(launcher: str) -> None:
    """Have signals that come before a run listens, or between two, end what has begun and keep more from beginning."""

    def note(number: int, frame: Any) -> None:
        _Signals.received.append(number)
        if _Signals.may_raise:
            raise Interrupted(number)

    if launcher == "joblib":
        for number in SIGNALS:
            signal.signal(number, note)
    if launcher.startswith("submitit"):  # which tells by this signal that the time is nearly up
        signal.signal(signal.SIGUSR2, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
