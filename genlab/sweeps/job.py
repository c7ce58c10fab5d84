"""One job of a sweep, in the process that a Hydra launcher chooses."""

import json
import logging
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genlab.checkpoints.folder import JobFolder, SweepFolder
from genlab.checkpoints.status import state_of
from genlab.config.check import locate
from genlab.config.compose import compose_job, parse, register
from genlab.contract.settings import DeviceConfig, RunConfig, SweepConfig
from genlab.metrics.catalogue import directions_of, ranking
from genlab.runs.processes import RunFailed, reason_of
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.sweeps.overview import job_record
from genlab.system import cores
from genlab.system.device import resolve
from genlab.system.files import replace_text
from genlab.system.logs import log_to_console, log_to_file
from genlab.system.signals import Interrupted, Interruption, caught
from genlab.system.small_files import read_json
from genlab.system.streams import lasting_streams

log = logging.getLogger("genlab")

_NAME_BYTES = 200  # of the 255 that a folder's name may have

FORCED = "++network."
"""For keys of a network in a sweep. Hydra composes a job without the adjustments of its recipe
(`genlab.config.recipes`), so that the key may not exist then; the job composes its config again."""


def objective(config: RunConfig, sweep: SweepConfig) -> tuple[str | None, str | None]:
    """The final metric that ranks the jobs, as in "validation/elbo", and its direction: "min" or "max".

    `sweep.metric` if set, else the first ranking metric of the model.
    """
    metrics = locate("model", config.model["_target_"]).metrics
    known = ranking({f"validation/{name}": direction for name, direction in metrics.items()})
    if (sweep.metric or "").startswith("evaluation/"):
        known = ranking({f"evaluation/{name}": direction for name, direction in directions_of().items()})
    name = sweep.metric or next(iter(known), None)
    return name, known.get(name or "")


class _Worker(Interruption):
    """Signals that this pool worker receives: they end the job that it is preparing, and it starts no other."""

    def receive(self, number: int, frame: Any) -> None:
        self.received = number
        if self._interruptible:
            raise Interrupted(number)


_WORKER = _Worker()


def run_job(config: DictConfig) -> float | None:
    """Train or resume one job; returns the final value of the sweep's metric. `config` is not used, see `FORCED`.

    None if there is no such value, as in a failed job: its folder gives the reason, and other jobs continue.
    A signal raises `Interrupted` if jobs run one after another in the launching process. A pool worker instead declines
    all further jobs.
    """
    hydra = HydraConfig.get()
    launcher = hydra.runtime.choices["hydra/launcher"]
    in_pool = launcher != "basic" and hydra.launcher.get("n_jobs") != 1
    if in_pool and launcher == "joblib":
        for number in caught():
            signal.signal(number, _WORKER.receive)
    if launcher.startswith("submitit"):  # sends SIGUSR2 shortly before the time limit
        signal.signal(signal.SIGUSR2, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
    overrides = [re.sub(rf"^{re.escape(FORCED)}", "network.", line) for line in hydra.overrides.task]
    register()
    job = compose_job(overrides)
    run, sweep = job.config, job.sweep
    share_machine(run.device, hydra)
    run.logger.console = False  # the terminal shows the sweep's progress bar
    if run.logger.hparams is None:  # show the settings that vary; all would hide them
        run.logger.hparams = sorted({override.key_or_group for override in parse(_of_job(overrides))})
    sys.argv = ["genlab", "train", *overrides]  # recorded as provenance, in place of the worker's own
    log_to_console(logging.WARNING, f"job {hydra.job.num}: ")
    try:
        with lasting_streams(), _WORKER.interruptible():
            final = _recorded(JobFolder(Path(hydra.runtime.output_dir)), run, overrides, sweep.retry)
    except Interrupted as error:
        if not in_pool:
            raise
        _WORKER.received = error.number
        return None
    return final.get(str(objective(run, sweep)[0]))


def share_machine(device: DeviceConfig, hydra: DictConfig) -> None:
    """Limit `device` to a job's part of the machine.

    joblib's jobs divide the cores among them as threads, and take the GPUs in turn. Those of Ray and of submitit_local
    get one thread each, as nothing says how many of them run at once.
    """
    launcher = hydra.runtime.choices["hydra/launcher"]
    if launcher == "joblib" and resolve(device.name).type == "cuda":
        device.index = (device.index + hydra.job.num * device.processes) % torch.cuda.device_count()
    if device.threads is None and launcher in ("ray", "submitit_local"):
        device.threads = 1
    elif device.threads is None and launcher == "joblib" and hydra.launcher.n_jobs > 1:
        device.threads = max(1, cores.available() // hydra.launcher.n_jobs // device.processes)


def _recorded(folder: JobFolder, run: RunConfig, overrides: list[str], retry: bool) -> dict[str, float]:
    """The job's final metrics, empty if it failed, now or before. `job.json` records its start and its end."""
    earlier = job_record(folder)
    record = {"overrides": overrides, "begun": os.urandom(8).hex(), "ended": False, "failed": None}
    record["name"] = settings_name(overrides, read_json(SweepFolder(folder.path.parent).request)["varied"])
    same = _of_job(earlier.get("overrides", ())) == _of_job(overrides)
    if earlier.get("failed") and same and not retry and state_of(folder) != "finished":
        _write(folder, record | {"ended": True, "failed": earlier["failed"]})
        return {}
    _write(folder, record)
    final: dict[str, float] = {}
    try:
        final = _train(run, folder)
    except Exception as error:
        record["failed"] = reason_of(error)
        if not isinstance(error, (RunFailed, ValueError)):  # those are on record, or tell the user all
            with log_to_file(folder.log):
                log.debug("the job failed", exc_info=True)
    _write(folder, record | {"ended": True})
    return final


def settings_name(overrides: Iterable[str], varied: Iterable[str]) -> str:
    """A job's values of the keys that its sweep varies as the name of a folder, as in latent_dim=8,seed=0."""
    given = dict(text.lstrip("+").split("=", 1) for text in overrides if "=" in text)
    short = Counter(key.rpartition(".")[2] for key in varied)
    names = {key: last if short[last := key.rpartition(".")[2]] == 1 else key for key in varied if key in given}
    parts = [f"{_plain(name)}={_plain(given[key])}" for key, name in names.items()]
    return ",".join(parts).encode()[:_NAME_BYTES].decode(errors="ignore")


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", text).strip("_")


def _train(run: RunConfig, folder: JobFolder) -> dict[str, float]:
    """Start, resume or skip the run; returns its final metrics."""
    if not folder.holds_run:
        return train(run, folder)
    stopped = StoppedRun.of(folder, run)
    if stopped.is_done(run):
        return read_json(folder.status)["final"]
    return train(run, folder, stopped.start)


def _of_job(overrides: Iterable[str]) -> list[str]:
    """The overrides that make a job what it is."""
    return [line for line in overrides if not line.startswith("sweep.")]


def mark_failed(folder: JobFolder, reason: str) -> None:
    """Record that a job failed whose process cannot do so itself any more."""
    _write(folder, job_record(folder) | {"ended": True, "failed": reason})


def _write(folder: JobFolder, record: dict[str, Any]) -> None:
    replace_text(folder.record, json.dumps(record), durable=False)
