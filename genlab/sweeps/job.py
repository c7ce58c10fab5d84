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
from omegaconf import DictConfig, OmegaConf

from genlab import cores
from genlab.config.compose import parse
from genlab.config.request import plain
from genlab.config.untrusted_files import read_json
from genlab.files import open_plain, replace_text
from genlab.logs import log_to_console
from genlab.sweeps.objective import objective
from genlab.sweeps.overview import JOB_FILE, job_record
from genlab.training.device import resolve
from genlab.training.interruption import SIGNALS, Interrupted
from genlab.training.lock import holds_run, is_locked, read_status, state_of
from genlab.training.processes import RunFailed, reason_of
from genlab.training.run import train
from genlab.training.stopped import Stopped

_SUSPECTS = ".suspects"


class _Signals:
    """Those that this process of a pool got: it begins no other job."""

    received: list[int] = []
    may_raise = False  # while nothing is to be saved


def carry_out(config: DictConfig) -> float | None:
    """Train one job, or what is left of it; returns the final value of the sweep's metric.

    None where there is no such value, as in a job that failed: its folder tells why, and no other job stops for it.
    `Interrupted` in the process that launches jobs one after another; a process of its own, which a pool gives jobs
    until none is left, declines them.
    """
    hydra = HydraConfig.get()
    of_its_own = hydra.runtime.choices["hydra/launcher"] != "basic" and hydra.launcher.get("n_jobs") != 1
    if of_its_own:
        _heed_signals(hydra.runtime.choices["hydra/launcher"])
    if _Signals.received:
        return None
    folder, request = Path(hydra.runtime.output_dir), _request(config, hydra)
    overrides = OmegaConf.to_container(hydra.overrides.task)
    sys.argv = ["genlab", "train", *overrides]  # what provenance records: a worker's own command line says nothing
    log_to_console(logging.WARNING)
    try:
        _Signals.may_raise = True
        with _alone(folder):
            return _recorded(folder, request, overrides, config.sweep.retry).get(objective(config)[0])
    except Interrupted as error:
        if not of_its_own:
            raise
        _Signals.received.append(error.number)
        return None
    finally:
        _Signals.may_raise = False


def _request(config: DictConfig, hydra: DictConfig) -> dict:
    """The run that the job is, with its share of the machine."""
    request = plain(config, hydra.runtime.choices)
    request["logger"]["console"] = False  # the sweep has a bar
    if request["logger"]["hparams"] is None:  # a dashboard of all settings hides those that the user is after
        request["logger"]["hparams"] = sorted({override.key_or_group for override in parse(hydra.overrides.task)})
    request["device"] |= share_of_machine(hydra, request["device"])
    return request


def share_of_machine(hydra: DictConfig, device: dict[str, Any]) -> dict[str, Any]:
    """What of `device` is set so that jobs side by side on one machine do not get in each other's way: none gets more
    threads than its share of the cores, and each its GPUs."""
    launcher, settings = hydra.runtime.choices["hydra/launcher"], {}
    allotted = {
        "joblib": lambda: cores.available() // hydra.launcher.n_jobs if hydra.launcher.n_jobs > 1 else None,
        "ray": lambda: hydra.launcher.ray.remote.get("num_cpus") or 1,  # Ray's own default
        "submitit_local": lambda: hydra.launcher.cpus_per_task or 1,  # it starts all jobs at once
        "submitit_slurm": lambda: hydra.launcher.cpus_per_task,  # where None, Slurm binds the job to its cores
    }.get(launcher, lambda: None)()
    if device["threads"] is None and allotted is not None:
        settings["threads"] = max(1, allotted // device["processes"])
    if launcher == "joblib" and resolve(device["name"]).type == "cuda":
        settings["index"] = (device["index"] + hydra.job.num * device["processes"]) % torch.cuda.device_count()
    return settings


def _recorded(folder: Path, request: dict, overrides: list[str], retry: bool) -> dict[str, float]:
    """The job's final metrics, empty where it failed; `job.json` says that it is under way, and then that it ended."""
    earlier = job_record(folder)
    record = {"overrides": overrides, "begun": os.urandom(8).hex(), "ended": False}
    replace_text(folder / JOB_FILE, json.dumps(record), durable=False)
    final = {}
    try:
        if retry or state_of(folder) != "failed" or _differ(earlier.get("overrides"), overrides):
            final = _train(request, folder)
    except AnotherRun as error:
        record["refused"] = str(error)
    except Exception as error:
        leave_word(folder, error)
    replace_text(folder / JOB_FILE, json.dumps(record | {"ended": True}), durable=False)
    return final


class AnotherRun(ValueError):
    """The job's folder holds the run of other settings, which is left as it is."""


def _train(request: dict, folder: Path) -> dict[str, float]:
    """The final metrics of a run that begins, goes on, or has ended."""
    if not holds_run(folder):
        return train(request, folder)
    stopped = Stopped.read(folder)
    if differences := stopped.differences(request):
        raise AnotherRun("\n".join([f"{folder}: holds another run: {differences[0]}", *differences[1:]]))
    if stopped.is_done(request):
        return read_json(folder / "status.json")["final"]
    return train(request, folder, stopped.start)


def _differ(earlier: list[str] | None, overrides: list[str]) -> bool:
    """Whether the job in this place was another one."""
    before, now = ([line for line in lines or [] if not line.startswith("sweep.")] for lines in (earlier, overrides))
    return before != now


def leave_word(folder: Path, error: Exception) -> None:
    """Let `status.json` and `train.log` tell of a failure, where training has not done so itself."""
    if is_locked(folder) or (isinstance(error, RunFailed) and state_of(folder) == "failed"):
        return  # locked: another process is training there
    with open_plain(folder / "train.log", os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
        file.write("".join(traceback.format_exception(error)).encode())
    status = {"step": 0, "alarms": [], "final": {}}
    with suppress(ValueError):
        status |= read_status(folder)
    status |= {"status": "failed", "reason": reason_of(error), "process": os.getpid()}
    replace_text(folder / "status.json", json.dumps(status, indent=2))


def name_suspects(sweep: Path, numbers: set[int]) -> None:
    """Let these jobs of a sweep take turns from now on, as one of them may have been the death of a process."""
    replace_text(sweep / _SUSPECTS, json.dumps(sorted(numbers)), durable=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other suspect is training, where this job is one."""
    if int(folder.name) not in read_json(folder.parent / _SUSPECTS):
        yield
        return
    with open_plain(folder.parent / ".turn", os.O_RDWR | os.O_CREAT) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _heed_signals(launcher: str) -> None:
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
