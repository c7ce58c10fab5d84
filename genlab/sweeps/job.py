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
from genlab.files import replace_text
from genlab.logs import log_to_console
from genlab.sweeps.objective import objective
from genlab.sweeps.overview import JOB_FILE
from genlab.training.device import resolve
from genlab.training.interruption import SIGNALS, Interrupted
from genlab.training.lock import holds_run, is_locked, state_of
from genlab.training.processes import RunFailed, reason_of
from genlab.training.run import train
from genlab.training.stopped import Stopped

_SUSPECTS = ".suspects"

_received: list[int] = []
"""Signals that this process of a pool got: it begins no other job."""


def carry_out(config: DictConfig) -> float | None:
    """Train one job, or what is left of it; returns the final value of the sweep's metric.

    None where there is no such value, as in a job that failed: its folder tells why, and no other job stops for it.
    `Interrupted` in the process that launches jobs one after another; a process of a pool, which is given jobs until
    none is left, declines them.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    pooled = hydra.runtime.choices["hydra/launcher"] == "joblib" and hydra.launcher.n_jobs != 1
    if pooled:
        for number in SIGNALS:
            signal.signal(number, lambda received, frame: _received.append(received))
        if _received:
            return None
    request = plain(config, hydra.runtime.choices)
    overrides = OmegaConf.to_container(hydra.overrides.task)
    request["logger"]["console"] = False  # the sweep has a bar
    if request["logger"]["hparams"] is None:  # a dashboard of all settings hides those that the user is after
        request["logger"]["hparams"] = [override.key_or_group for override in parse(overrides)]
    request["device"] |= share_of_machine(hydra, request["device"])
    sys.argv = ["genlab", "train", *overrides]  # what provenance records: a worker's own command line says nothing
    log_to_console(logging.WARNING)
    record = {"overrides": overrides, "begun": os.urandom(8).hex(), "ended": False}
    with _alone(folder):
        replace_text(folder / JOB_FILE, json.dumps(record), durable=False)
        try:
            final = _train(request, folder, config.sweep.retry)
        except Interrupted as error:
            if not pooled:
                raise
            _received.append(error.number)
            return None
        except Exception as error:
            leave_word(folder, error)
            final = {}
        replace_text(folder / JOB_FILE, json.dumps(record | {"ended": True}), durable=False)
    return final.get(objective(config)[0])


def name_suspects(sweep: Path, numbers: set[int]) -> None:
    """Let these jobs of a sweep take turns from now on, as one of them may have been the death of a process."""
    replace_text(sweep / _SUSPECTS, json.dumps(sorted(numbers)), durable=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other suspect is training, where this job is one."""
    suspects = folder.parent / _SUSPECTS
    if int(folder.name) not in read_json(suspects):
        yield
        return
    with (folder.parent / ".turn").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


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


def _train(request: dict, folder: Path, retry: bool) -> dict[str, float]:
    """The job's final metrics; empty for one that failed before and is not to be tried again."""
    if state_of(folder) == "failed" and not retry:
        return {}
    if not holds_run(folder):
        return train(request, folder)
    stopped = Stopped.read(folder)
    if differences := stopped.differences(request):
        raise ValueError("\n".join([f"{folder}: holds another run", *differences]))
    if stopped.is_done(request):
        return read_json(folder / "status.json")["final"]
    return train(request, folder, stopped.start)


def leave_word(folder: Path, error: Exception) -> None:
    """Let `status.json` and `train.log` tell of a failure, where training has not done so itself."""
    if is_locked(folder) or (isinstance(error, RunFailed) and state_of(folder) == "failed"):
        return  # locked: another process is training there
    with (folder / "train.log").open("a") as file:
        traceback.print_exception(error, file=file)
    status = {"step": 0, "alarms": [], "final": {}}
    with suppress(ValueError):
        status |= read_json(folder / "status.json")
    status |= {"status": "failed", "reason": reason_of(error), "process": os.getpid()}
    replace_text(folder / "status.json", json.dumps(status, indent=2))
