"""`genlab resume`: continue a run as if it had never stopped."""

from pathlib import Path

from genlab.checkpoints.folder import SweepFolder
from genlab.commands.folder import chosen_run, tell_choice
from genlab.commands.lines import command_line
from genlab.commands.requests import ResumeRequest
from genlab.commands.running import resume_and_report
from genlab.commands.sweep import resume_sweep
from genlab.config.build import build_source
from genlab.config.compose import RequestError, parse
from genlab.config.places import usual_data_dir
from genlab.config.revise import revise
from genlab.contract.settings import RunConfig
from genlab.data.published import is_ready
from genlab.inference.finding import last_stopped
from genlab.runs.check import check
from genlab.runs.resumable import StoppedRun
from genlab.system.logs import log_to_console


def main(request: ResumeRequest) -> int:
    run = _chosen(request)
    if SweepFolder(run).holds_sweep:
        return resume_sweep(SweepFolder(run), request.overrides)
    log_to_console()
    stopped = StoppedRun.read(run)
    config = _revised(stopped, request.overrides)
    if not stopped.is_done(config):
        check(config, None)
    resume_and_report(stopped, config)
    return 0


def _chosen(request: ResumeRequest) -> Path:
    """The run or the sweep to resume: by default the last that was stopped."""
    if request.run is None:
        run, why = last_stopped(request.output_dir)
        tell_choice(run, why)
        return run
    if SweepFolder(Path(request.run)).holds_sweep:  # as a whole, not its best job
        return Path(request.run)
    return chosen_run(request.run, request.output_dir, with_checkpoint=False)


def _revised(stopped: StoppedRun, overrides: list[str]) -> RunConfig:
    """The run's config with the changes from the command line."""
    try:
        revised = revise(stopped.config, overrides)
    except RequestError as error:
        begin = command_line("train", init_from=stopped.folder)
        hint = f"genlab resume --help lists what may change; a new run from these weights: {begin} ..."
        raise RequestError([*error.problems, hint]) from None
    given = {override.key_or_group for override in parse(overrides)}
    if "trainer.max_epochs" in given and "trainer.max_steps" not in given and revised.trainer.max_steps is not None:
        raise ValueError("trainer.max_epochs: the run counts steps, which win; add trainer.max_steps=null")
    if "data_dir" in revised.dataset:
        if "data_dir" in given:
            revised.dataset["data_dir"] = revised.data_dir
        elif not is_ready(build_source(revised.dataset)):  # never download to a path from an untrusted run
            revised.dataset["data_dir"] = usual_data_dir()
    return revised
