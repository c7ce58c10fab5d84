"""`genlab train -m`, and `genlab resume` of its folder: check all jobs, launch them, tell how many came through."""

import json
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from genlab.commands.use import command_line
from genlab.config.compose import RequestError, parse
from genlab.config.sweeping import EXTRAS, Plan, plan
from genlab.config.untrusted_files import read_json
from genlab.files import replace_text
from genlab.sweeps.overview import SUMMARY, Overview
from genlab.training.lock import holds_run, is_locked, locked

SWEEP_FILE = "sweep.json"
"""In a sweep's folder: the overrides that asked for it."""

_ROWS = 10
"""Of the table that a sweep ends with."""


def sweep(overrides: list[str]) -> int:
    """Carry out what is left of the sweep that `overrides` ask for; 0 where all of its jobs have finished."""
    planned = plan(overrides)
    folder = planned.folder
    if "RANK" in os.environ:
        if planned.launcher != "basic":
            raise RequestError([f"hydra/launcher={planned.launcher}: torchrun has started all processes; leave it out"])
        if not any(line.startswith("hydra.sweep.dir=") for line in overrides):
            raise RequestError(["under torchrun a sweep must be told its folder: add hydra.sweep.dir=FOLDER"])
    own = [line for line in overrides if not line.startswith("hydra.sweep.dir=")]
    _check(planned)

    from genlab.sweeps.launch import launch
    from genlab.sweeps.objective import objective

    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        lasting = [line for line in own if not line.startswith("sweep.retry=")]
        replace_text(folder / SWEEP_FILE, json.dumps({"overrides": lasting}, indent=2))
        overview = Overview(folder, planned.total, planned.varied, *objective(planned.jobs[0].config))
        print(f"sweep      {folder} ({planned.total} jobs)", file=sys.stderr)
        try:
            launch(planned, own, overview)
        except KeyboardInterrupt as error:
            error.args = (f"{error}\n{_tally(overview)}\nnext       {command_line('resume', run=folder)}",)
            raise
        except Exception as error:
            message = (
                f"the sweep broke off: {error}\n{_tally(overview)}\nnext       {command_line('resume', run=folder)}"
            )
            raise RuntimeError(message) from error
    _report(overview)
    return 0 if overview.count("finished") == planned.total else 1


def holds_sweep(folder: Path) -> bool:
    """Whether a sweep began in this folder."""
    return (folder / SWEEP_FILE).is_file()


def go_on(folder: Path, overrides: list[str]) -> int:
    """Start the sweep in `folder` again, with further `overrides` of how it is launched.

    `ValueError` where its file, which may be anybody's, asks for more than training and a choice of launcher.
    """
    try:
        kept = read_json(folder / SWEEP_FILE)["overrides"]
        parsed = parse([str(line) for line in kept])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / SWEEP_FILE}: is damaged; give the whole command again with hydra.sweep.dir"
        ) from error
    for override in parsed:
        key, value = override.key_or_group, override.value()
        if key in ("hydra/launcher", "hydra/sweeper"):
            harmless = value in ("basic", *EXTRAS)
        else:  # text could be a class or a line of a shell's
            harmless = not key.startswith("hydra") or isinstance(value, (bool, int, float))
        if not harmless:
            raise ValueError(
                f"{folder / SWEEP_FILE}: {override.input_line} is not taken from a file; {_by_command(folder)}"
            )
    for override in parse(overrides):
        if not override.key_or_group.startswith(("hydra", "sweep.")):
            raise ValueError(
                f"{override.input_line}: a sweep that goes on asks for the same jobs; only hydra/launcher, "
                "hydra.launcher.KEY and sweep.retry may be another"
            )
    given = {override.key_or_group for override in parse(overrides)}
    kept = [override.input_line for override in parsed if override.key_or_group not in given]
    return sweep([*kept, *overrides, f"hydra.sweep.dir={shlex.quote(str(folder))}"])


def _by_command(folder: Path) -> str:
    return f"give the whole command again: genlab train -m ... hydra.sweep.dir={folder}"


def _check(planned: Plan) -> None:
    """`RequestError` with all reasons why jobs cannot be carried out, before the first begins."""
    from genlab.config.request import check, plain
    from genlab.training.stopped import Stopped

    problems: list[str] = []
    for job in planned.jobs:
        try:
            check(job.config, None if holds_run(job.folder) or planned.searches else job.folder)
        except RequestError as error:
            problems += error.problems
    begun = [] if planned.searches else [job for job in planned.jobs if holds_run(job.folder)]
    if running := [job.folder.name for job in begun if is_locked(job.folder)]:
        problems.append(
            f"{begun[0].folder.parent}: jobs {', '.join(running)} are training now; wait for them or end them"
        )
    others = []
    for job in begun if not problems else []:
        with suppress(ValueError):  # its run cannot be read, which is this job's own failure
            lines = Stopped.read(job.folder).differences(plain(job.config, job.choices))
            others += [f"{job.folder}: {line}" for line in lines]
    if others:
        problems += [*others, "a sweep that is started again asks for the same runs; give it another folder"]
    if problems:
        raise RequestError(problems)


def _tally(overview: Overview) -> str:
    """How many jobs came through."""
    total, finished, failed = len(overview.states), overview.count("finished"), overview.count("failed")
    text = f"sweep      {overview.folder}: {finished} of {total} jobs finished"
    text += f", {failed} failed" if failed else ""
    return text + (f", {total - finished - failed} left" if finished + failed < total else "")


def _report(overview: Overview) -> None:
    """The last lines: the jobs side by side, those that failed and why, the best, what is next."""
    from genlab.commands.compare import show
    from genlab.comparison.records import collect, find_runs
    from genlab.comparison.rows import compare

    print()
    records, _ = collect(find_runs([overview.folder]))
    if len(records) > 1:
        show(compare(records, None, None), most=_ROWS)
        print()
    print(_tally(overview))
    for state in overview.states:
        if state.word == "failed":
            reason = (state.reason or "").partition("\n")[0]
            print(f"failed     job {state.number} ({state.title}): {reason}")
            print(f"           {overview.folder / str(state.number) / 'train.log'} has its traceback")
    if best := overview.best:
        print(f"best       job {best.number} ({best.title}): {overview.metric} {overview.value(best):.5g}")
    print(f"summary    {overview.folder / SUMMARY}")
    if overview.count("failed"):
        print(f"next       {command_line('resume', run=overview.folder, **{'sweep.retry': True})}")
    else:
        print(f"next       {command_line('compare', runs=overview.folder)}")
    print(f"           {shlex.join(['tensorboard', '--logdir', str(overview.folder)])}")
