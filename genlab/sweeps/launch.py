"""Have Hydra's sweeper and launcher carry out the jobs of a sweep, and end that in order where a signal comes."""

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

_KILLED = "its process was killed twice, perhaps for want of memory: lower hydra.launcher.n_jobs or trainer.batch_size"


def launch(plan: Plan, overrides: list[str], overview: Overview) -> None:
    """Carry out the jobs that `overrides` ask for; their folders tell how they ended. `Interrupted` by a signal.

    A process of a pool that dies, as the kernel kills those that take too much memory, takes the pool along. What was
    running goes on in a new one, a job at a time; one that is running again when the next process dies has failed.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to genlab.cli, which says them in its own way
    logging.getLogger("hydra_plugins").setLevel(logging.CRITICAL)  # jobs that failed are told of here
    suspects: set[int] = set()
    run_one_at_a_time(overview.folder, suspects)
    with shown(overview), _ending_in_order() as received:
        while True:
            try:
                _sweep([*overrides, *_settings(plan, overview)], overview.folder.path)
            except Exception as error:
                if received:  # a process that had not begun its job yet did not know what to do about it
                    raise Interrupted(received[0]) from error
                states = overview.at_this_moment()
                if all(state.ended for state in states):
                    break  # a search of which every job failed has no result to write
                if not isinstance(error, BrokenExecutor):
                    raise
                running = {state.number for state in states if state.word == "running"}
                for number in running & suspects:
                    record_failure(overview.folder.job(number), RuntimeError(_KILLED))
                if not running:  # it died before it began a job
                    raise RuntimeError("a process that was to train was killed before it began") from error
                suspects |= running
                run_one_at_a_time(overview.folder, suspects)
                overview.relaunch()
                overrides = [*(line for line in overrides if not line.startswith("sweep.retry=")), "sweep.retry=false"]
            else:
                break
    if received:
        raise Interrupted(received[0])


def _sweep(overrides: list[str], folder: Path) -> None:
    """Hydra's multirun, from its own command line as ever."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    sys.argv = ["genlab train", "-m", *overrides, f"hydra.sweep.dir='{quoted}'"]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")(run_job)()


def _settings(plan: Plan, overview: Overview) -> Iterator[str]:
    """What launchers and sweepers need to know, where the user has not said it."""
    if plan.launcher == "joblib":
        yield "hydra.launcher.batch_size=1"  # joblib would put jobs that were done before together with long ones
        if (asked := plan.hydra.launcher.n_jobs) < 0:  # as joblib counts: -1 for all cores, -2 for all but one
            yield f"hydra.launcher.n_jobs={min(max(1, cores.available() + 1 + asked), plan.total)}"
    if plan.searches:
        own = plan.hydra.sweeper
        if "direction" in own and overview.direction and "direction" not in _given(plan):
            yield f"hydra.sweeper.direction={overview.direction}imize"
        if "max_failure_rate" in own and "max_failure_rate" not in _given(plan):
            yield "hydra.sweeper.max_failure_rate=1.0"  # jobs that fail stop no others
        if "seed" in (own.get("sampler") or {}) and own.sampler.seed is None:
            yield "hydra.sweeper.sampler.seed=0"  # a search that is started again asks for the same jobs


def _given(plan: Plan) -> list[str]:
    """Keys of the sweeper that the command line sets."""
    prefix = "hydra.sweeper."
    return [line.split("=")[0].removeprefix(prefix) for line in plan.hydra.overrides.hydra if line.startswith(prefix)]


@contextmanager
def _ending_in_order() -> Iterator[list[int]]:
    """Hand signals on to the processes of a pool, which save their runs and begin no others; yields those that came.

    Where there is no pool, nothing of this process is to be saved: `Interrupted` at once. A run in this very process
    takes the signals for itself. A second signal leaves at once, and takes the pool along.
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
