"""Run the jobs of a sweep by Hydra's sweeper and launcher, with clean shutdown on a signal."""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra

from genlab.config.paths import config_folder
from genlab.config.sweeping import Plan
from genlab.sweeps.job import record_failure, run_job, run_one_at_a_time
from genlab.sweeps.overview import Overview
from genlab.sweeps.progress import shown
from genlab.system import cores
from genlab.system.signals import Interrupted, handling, is_echo

_KILLED = "its process was killed twice, perhaps for lack of memory: lower hydra.launcher.n_jobs or trainer.batch_size"


def launch(plan: Plan, overrides: list[str], overview: Overview) -> None:
    """Run the jobs of `overrides`; their folders record the outcomes. `Interrupted` by a signal.

    If a pool worker dies, for example when the kernel kills it because memory runs out, the whole pool fails. The jobs
    that were running resume in a new pool, one at a time. A job that is running again when a worker dies has failed.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors propagate to genlab.cli, which formats them
    logging.getLogger("hydra_plugins").setLevel(logging.CRITICAL)  # failed jobs are reported here
    suspects: set[int] = set()
    run_one_at_a_time(overview.folder, suspects)
    with shown(overview), _forwarding() as received:
        while True:
            try:
                _sweep([*overrides, *_settings(plan, overview)], overview.folder.path)
            except Exception as error:
                if received:  # it killed a worker that had no job yet
                    raise Interrupted(received[0]) from error
                states = overview.current_states()
                if all(state.ended for state in states):
                    break  # a search in which every job failed has no result to write
                if not isinstance(error, BrokenExecutor):
                    raise
                running = {state.number for state in states if state.status == "running"}
                for number in running & suspects:
                    record_failure(overview.folder.job(number), RuntimeError(_KILLED))
                if not running:  # it died before it started a job
                    raise RuntimeError("a training process was killed before it started") from error
                suspects |= running
                run_one_at_a_time(overview.folder, suspects)
                overview.relaunch()
                overrides = [*(line for line in overrides if not line.startswith("sweep.retry=")), "sweep.retry=false"]
            else:
                break
    if received:
        raise Interrupted(received[0])


def _sweep(overrides: list[str], folder: Path) -> None:
    """Run Hydra's multirun with a Hydra command line."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    sys.argv = ["genlab train", "-m", *overrides, f"hydra.sweep.dir='{quoted}'"]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")(run_job)()


def _settings(plan: Plan, overview: Overview) -> Iterator[str]:
    """Overrides for launchers and sweepers, unless the user has set them."""
    if plan.launcher == "joblib":
        yield "hydra.launcher.batch_size=1"  # joblib would batch already finished jobs with long ones
        if (asked := plan.hydra.launcher.n_jobs) < 0:  # joblib's convention: -1 for all cores, -2 for all but one
            yield f"hydra.launcher.n_jobs={min(max(1, cores.available() + 1 + asked), plan.total)}"
    if plan.searches:
        own = plan.hydra.sweeper
        if "direction" in own and overview.direction and "direction" not in _given(plan):
            yield f"hydra.sweeper.direction={overview.direction}imize"
        if "max_failure_rate" in own and "max_failure_rate" not in _given(plan):
            yield "hydra.sweeper.max_failure_rate=1.0"  # failed jobs do not stop others
        if "seed" in (own.get("sampler") or {}) and own.sampler.seed is None:
            yield "hydra.sweeper.sampler.seed=0"  # a restarted search proposes the same jobs


def _given(plan: Plan) -> list[str]:
    """Sweeper keys set on the command line."""
    prefix = "hydra.sweeper."
    return [line.split("=")[0].removeprefix(prefix) for line in plan.hydra.overrides.hydra if line.startswith(prefix)]


@contextmanager
def _forwarding() -> Iterator[list[int]]:
    """Forward signals to the workers of a pool, which save their runs and start no others; yields received signals.

    Without a pool there is nothing to save: `Interrupted` at once. A run in this process handles signals itself.
    A second signal ends this process and the pool at once.
    """
    received: list[int] = []
    first = 0.0

    def receive(number: int, frame: Any) -> None:
        nonlocal first
        pool = multiprocessing.active_children()
        if received and is_echo(first):
            return
        for process in pool:
            if process.pid is not None:  # it has started
                os.kill(process.pid, number)
        if received:
            os._exit(128 + number)
        received.append(number)
        first = time.monotonic()
        if not pool:
            raise Interrupted(number)

    with handling(receive):
        yield received
