"""Start or resume a training run from the command line, and report its outcome."""

import logging
from pathlib import Path

from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.commands.lines import command_line
from genlab.config.build import build_source
from genlab.config.check import locate
from genlab.contract.settings import RunConfig
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.system.logs import IN_FILE, log_to_file, report
from genlab.system.signals import Interrupted
from genlab.system.text import printable, rounded, shell_line

log = logging.getLogger("genlab")


def train_and_report(config: RunConfig, folder: RunFolder, start: Start | None = None) -> None:
    """Train a new run, or resume it from `start`."""
    try:
        final = train(config, folder, start)
    except Interrupted as error:
        again = f"next       {command_line('resume', run=folder)}"
        with log_to_file(folder.log):
            log.info(again, extra=IN_FILE)
        raise Interrupted(error.number, f"{error}\n{again}") from None
    print()
    with log_to_file(folder.log):
        report(f"run        {folder}")
        values = "  ".join(f"{name} {rounded(value, 4)}" for name, value in final.items())
        report(f"final      {values}", wrap=True)
        report(f"images     {folder.previews}")
        report(f"next       {next_command(folder, config)}")
        if config.logger.tensorboard:
            among_others = folder.path.resolve().is_relative_to(Path(config.output_dir).resolve())
            place = config.output_dir if among_others else str(folder)
            report(f"           {shell_line('tensorboard', '--logdir', place)}")


def next_command(folder: RunFolder, config: RunConfig) -> str:
    """A command to try on the finished run, depending on what its model can do."""
    model = locate("model", config.model["_target_"])
    if hasattr(model, "translate"):
        return command_line("translate", run=folder)
    able = next((name for name in ("sample", "reconstruct") if hasattr(model, name)), "evaluate")
    return command_line(able, run=folder)


def resume_and_report(stopped: StoppedRun, config: RunConfig) -> None:
    """Train a run until `config` is fulfilled."""
    folder = stopped.folder
    if stopped.is_done(config):
        longer = command_line("resume", run=folder, **{"trainer.max_steps": 2 * max(stopped.step, 1)})
        print(f"run        {folder}\nfinished   at step {stopped.step}; to train it longer:\nnext       {longer}")
        return
    _check_length(stopped, config)
    for line in stopped.damaged:
        log.warning("damaged    %s", line)
    state = f" ({printable(stopped.state)})" if stopped.state else ""
    log.info("resumed    at step %d%s", stopped.step, state)
    train_and_report(config, folder, stopped.start)


def _check_length(stopped: StoppedRun, config: RunConfig) -> None:
    steps = config.trainer.planned_steps(build_source(config.dataset).sizes["train"])
    if steps < stopped.step:
        earlier = command_line("resume", run=stopped.folder.checkpoints / "step_NNNNNNN.safetensors")
        raise ValueError(
            f"trainer.max_steps={steps}: this run has made {stopped.step} steps; ask for more, or continue from one of "
            f"its earlier checkpoints: {earlier}"
        )
