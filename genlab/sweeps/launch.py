"""Run the jobs of a sweep by Hydra's sweeper and launcher, with clean shutdown on a signal."""

import importlib
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import hydra

from genlab.config.paths import config_folder
from genlab.config.sweeping import Plan
from genlab.sweeps.job import FORCED, mark_failed, run_job
from genlab.sweeps.overview import Overview
from genlab.sweeps.progress import shown
from genlab.system import cores
from genlab.system.signals import Interrupted, Interruption, is_echo, sparing_helpers

_KILLED = (
    "a process of the pool died while this job was running, perhaps for lack of memory; try it again with a smaller "
    "hydra.launcher.n_jobs, or give the command of the sweep again with device.micro_batch=N"
)


def launch(plan: Plan, overrides: list[str], overview: Overview) -> None:
    """Run the jobs of `overrides`; their folders record the outcomes. `Interrupted` by a signal.

    If a pool worker dies, for example when the kernel kills it because memory runs out, the whole pool dies with it.
    The sweep ends then, and the jobs that were running count as failed: any of them may be the cause.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors propagate to genlab.cli, which formats them
    logging.getLogger("hydra_plugins").setLevel(logging.CRITICAL)  # failed jobs are reported here
    if plan.launcher == "joblib":
        with sparing_helpers():
            importlib.import_module("joblib.externals.loky.backend.resource_tracker").ensure_running()
    failure = None
    with shown(overview), _Forwarding().listening() as interruption:
        try:
            lines = [re.sub(r"^network\.", FORCED, line) for line in overrides]
            _sweep([*_defaults(plan, overview), *lines, *_pool_size(plan)], overview.folder.path)
        except Exception as error:
            failure = error
    if interruption.received:  # it may have killed a worker that had no job yet
        raise Interrupted(interruption.received) from failure
    running = [state.number for state in overview.states if state.status == "running"]
    if isinstance(failure, BrokenExecutor) and running:
        for number in running:
            mark_failed(overview.folder.job(number), _KILLED)
        overview.update()
        overview.write()
    elif isinstance(failure, BrokenExecutor):
        raise RuntimeError("a process of the pool was killed before it began a job") from failure
    elif failure and not all(state.ended for state in overview.states):  # else a search had no result to write
        raise failure


def _sweep(overrides: list[str], folder: Path) -> None:
    """Run Hydra's multirun with a Hydra command line."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    sys.argv = ["genlab train", "-m", *overrides, f"hydra.sweep.dir='{quoted}'"]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")(run_job)()


def _defaults(plan: Plan, overview: Overview) -> Iterator[str]:
    """GenLab's defaults for launchers and sweepers; overrides of the user come after them and win."""
    if plan.launcher == "joblib":
        yield "hydra.launcher.batch_size=1"  # joblib would batch already finished jobs with long ones
    if plan.searches:
        own = plan.hydra.sweeper
        if "direction" in own and overview.direction:
            yield f"hydra.sweeper.direction={overview.direction}imize"
        if "max_failure_rate" in own:
            yield "hydra.sweeper.max_failure_rate=1.0"  # failed jobs do not stop others
        if "seed" in (own.get("sampler") or {}) and own.sampler.seed is None:
            yield "hydra.sweeper.sampler.seed=0"  # a restarted search proposes the same jobs


def _pool_size(plan: Plan) -> Iterator[str]:
    """The number of joblib's processes, if it is given as -1 for all cores, -2 for all but one, and so on."""
    if plan.launcher == "joblib" and (asked := plan.hydra.launcher.n_jobs) < 0:
        yield f"hydra.launcher.n_jobs={min(max(1, cores.available() + 1 + asked), plan.total)}"


class _Forwarding(Interruption):
    """Forwards signals to the workers of a pool, which save their runs and start no others.

    Without a pool there is nothing to save: `Interrupted` at once. A run in this process handles signals itself.
    """

    def _receive(self, number: int, frame: Any) -> None:
        if self._demanded is not None and is_echo(self._demanded):
            return
        pool = [process.pid for process in multiprocessing.active_children() if process.pid is not None]
        for pid in pool:
            os.kill(pid, number)
        self._interruptible = not pool
        super()._receive(number, frame)
