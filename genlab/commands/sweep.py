"""`genlab train -m`, and `genlab resume` of a sweep: check all jobs, launch them, report how many finished."""

import json
import os
import sys
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString

from genlab.checkpoints.folder import RunFolder, SweepFolder
from genlab.checkpoints.lock import is_locked, locked
from genlab.commands.compare import show
from genlab.commands.lines import command_line, quoted
from genlab.comparison.comparison import compare
from genlab.comparison.records import collect, find_runs
from genlab.comparison.same_data import different_data
from genlab.config.compose import RequestError, parse
from genlab.config.places import places
from genlab.config.revise import differences
from genlab.config.sweeping import EXTRAS, Plan, plan
from genlab.contract.settings import RunConfig, flattened
from genlab.runs.check import check
from genlab.runs.resumable import StoppedRun, refuse_links
from genlab.sweeps.job import objective
from genlab.sweeps.launch import launch
from genlab.sweeps.overview import Overview
from genlab.system import torchrun
from genlab.system.files import replace_text
from genlab.system.small_files import read_json
from genlab.system.text import printable, shell_line, shell_word

_ROWS = 10
"""Rows of the final table."""

_PLACES = ("data_dir", "dataset.data_dir", "init_from")
"""Keys that name places to read from or download to. They are never taken from a file."""


def sweep(overrides: list[str]) -> int:
    """Run the unfinished jobs of the sweep that `overrides` describe. Returns 0 if all jobs have finished, else 1."""
    if torchrun.started_this():
        raise ValueError("-m: torchrun's processes train one run; genlab train -m ... device.processes=N shares jobs")
    planned = plan(overrides)
    done = _check(planned)
    folder, first = planned.folder, planned.jobs[0]
    own = [line for line in overrides if not line.startswith("hydra.sweep.dir=")]
    moving = _moving(first.config)
    lasting = [_lasting(line, moving) for line in own if not line.startswith("sweep.retry=")]
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path):
        replace_text(folder.request, json.dumps({"overrides": lasting, "varied": planned.varied}, indent=2))
        same_data = not different_data([dict(flattened(job.config.to_dict())) for job in planned.jobs])
        overview = Overview(planned, *objective(first.config, first.sweep), done, same_data)
        print(f"sweep      {folder} ({planned.total} jobs)", file=sys.stderr)
        again = _again(folder, lasting)
        try:
            launch(planned, own, overview)
        except KeyboardInterrupt as error:
            report = [str(error), _tally(overview), f"next       {again}"]
            if planned.launcher not in ("basic", "joblib"):
                report.insert(2, f"note       jobs started by {planned.launcher} keep running until cancelled there")
            error.args = ("\n".join(report),)
            raise
        except Exception as error:
            raise RuntimeError(f"the sweep failed: {error}\n{_tally(overview)}\nnext       {again}") from error
    _report(overview, again)
    return 0 if overview.count("finished") == planned.total else 1


def resume_sweep(folder: SweepFolder, overrides: list[str]) -> int:
    """Resume the sweep in `folder`; `overrides` change how it is launched.

    Its request file may come from an untrusted source. `ValueError` if it asks for more than training and a launcher.
    """
    try:
        kept = parse([str(line) for line in read_json(folder.request)["overrides"]])
    except (KeyError, TypeError, ValueError) as error:
        command = f"genlab train -m ... hydra.sweep.dir={folder}"
        raise ValueError(f"{folder.request}: is damaged; give the whole command again: {command}") from error
    given = {override.key_or_group: override.input_line for override in parse(overrides)}
    repeated = {override.key_or_group: override.input_line for override in kept if not _is_harmless(override)}
    for key, line in repeated.items():
        if key not in given:
            raise ValueError(f"{folder.request}: {line} is not taken from a file; repeat it here, if it is yours")
    asked = [given.get(override.key_or_group, override.input_line) for override in kept]
    may_change = (*repeated, "hydra/launcher", "sweep.retry", *_moving(plan(asked).jobs[0].config))
    for key, line in given.items():
        if key not in may_change and not key.startswith("hydra.launcher."):
            raise ValueError(
                f"{line}: a resumed sweep runs the same jobs; only hydra/launcher, hydra.launcher.KEY, sweep.retry and "
                "where its data are may change"
            )
    lines = [override.input_line for override in kept if override.key_or_group not in given]
    return sweep([*lines, *overrides, f"hydra.sweep.dir={quoted(str(folder))}"])


def _moving(config: RunConfig) -> list[str]:
    """Keys that say where the data are."""
    return [f"dataset.{name}" for name in places(config.dataset)]


def _lasting(line: str, moving: list[str]) -> str:
    """An override as it is kept, with an absolute path where it says where the data are."""
    (override,) = parse([line])
    value: Any = override.value()
    value = value.text if isinstance(value, QuotedString) else value
    if override.key_or_group not in moving or override.is_sweep_override() or not isinstance(value, str):
        return line
    return f"{override.key_or_group}={quoted(os.path.abspath(os.path.expanduser(value)))}"


def _is_harmless(override: Override) -> bool:
    """Whether an override from a file can be used. Text for Hydra could name a class or hold a shell command."""
    key, value = override.key_or_group, override.value()
    if key in ("hydra/launcher", "hydra/sweeper"):
        return value in ("basic", *EXTRAS)
    return isinstance(value, (bool, int, float)) if key.startswith("hydra") else key not in _PLACES


def _again(folder: SweepFolder, overrides: list[str]) -> str:
    """The command that resumes a sweep."""
    repeated = [override.input_line for override in parse(overrides) if not _is_harmless(override)]
    return " ".join([command_line("resume", run=folder), *map(shell_word, repeated)])


def _check(planned: Plan) -> set[int]:
    """Numbers of the jobs that are done. `RequestError` with all reasons why the others cannot run."""
    folder = planned.folder
    if RunFolder(folder.path).holds_run:
        raise ValueError(f"hydra.sweep.dir={folder}: holds a run; choose another folder")
    if folder.holds_sweep:
        refuse_links(folder.path)
    begun = {} if planned.searches else {n: j for n, j in enumerate(planned.jobs) if RunFolder(j.folder).holds_run}
    problems: list[str] = []
    for number, job in enumerate(planned.jobs):
        try:
            check(job.config, None if number in begun or planned.searches else job.folder, job.sweep.metric)
        except RequestError as error:
            problems += error.problems
    if running := [str(number) for number, job in begun.items() if is_locked(job.folder)]:
        problems.append(f"{folder}: jobs {', '.join(running)} are training now; wait for them or end them")
    if problems:
        raise RequestError(problems)
    done: set[int] = set()
    for number, job in begun.items():
        with suppress(ValueError):  # an unreadable run fails only its own job
            stopped = StoppedRun.read(job.folder)
            problems += [f"{job.folder}: {line}" for line in differences(stopped.config, job.config)]
            done |= {number} if stopped.is_done(job.config) else set()
    if problems:
        raise RequestError([*problems, "a resumed sweep runs the same jobs; choose another folder"])
    return done


def _tally(overview: Overview) -> str:
    """How many jobs finished, failed or are left."""
    total, finished, failed = len(overview.states), overview.count("finished"), overview.count("failed")
    text = f"sweep      {overview.folder}: {finished} of {total} jobs finished"
    text += f", {failed} failed" if failed else ""
    return text + (f", {total - finished - failed} left" if finished + failed < total else "")


def _report(overview: Overview, again: str) -> None:
    """Print the last lines: the table of jobs, the failed ones and why, the best, and the next command."""
    print()
    records, _ = collect(find_runs([overview.folder.path]))
    if len(records) > 1:
        show(compare(records, None, None), most=_ROWS)
        print()
    print(_tally(overview))
    for state in overview.states:
        if state.status == "failed":
            reason = (state.reason or "").partition("\n")[0]
            print(printable(f"failed     job {state.number}{state.title}: {reason}"))
            print(f"           {overview.folder.job(state.number).path}")
    if best := overview.best:
        print(printable(f"best       job {best.number}{best.title}: {overview.metric} {overview.value(best):.5g}"))
    print(f"summary    {overview.folder.summary}")
    if overview.count("failed"):
        print(f"next       {again} sweep.retry=true")
    elif overview.count("finished") < len(overview.states):
        print(f"next       {again}")
    else:
        print(f"next       {command_line('compare', runs=overview.folder)}")
    print(f"           {shell_line('tensorboard', '--logdir', str(overview.folder))}")
