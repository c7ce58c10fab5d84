"""Start or resume a training run from the command line, and report its outcome."""

import sys
from pathlib import Path

from genlab.checkpoints.file import Start
from genlab.checkpoints.folder import RunFolder
from genlab.commands.lines import command_line
from genlab.config.build import build_source
from genlab.config.check import locate
from genlab.contract.settings import RunConfig
from genlab.runs.resumable import StoppedRun
from genlab.runs.train import train
from genlab.system.logs import log_to_console
from genlab.system.signals import Interrupted
from genlab.system.text import printable, shell_line


def train_and_report(config: RunConfig, folder: RunFolder, start: Start | None = None) -> None:
    """Train a new run, or resume it from `start`."""
    log_to_console()
    print(f"run        {printable(str(folder))}", file=sys.stderr)
    try:
        final = train(config, folder, start)
    except Interrupted as error:
        raise Interrupted(error.number, f"{error}\nnext       {command_line('resume', run=folder)}") from None
    values = "  ".join(f"{name} {value:.4g}" for name, value in final.items())
    print(f"\nrun        {folder}\nfinal      {values}\nimages     {folder.previews}")
    print(f"next       {next_command(folder, config)}")
    if config.logger.tensorboard:
        among_others = folder.path.resolve().is_relative_to(Path(config.output_dir).resolve())
        print(f"           {shell_line('tensorboard', '--logdir', config.output_dir if among_others else str(folder))}")


def next_command(folder: RunFolder, config: RunConfig) -> str:
    """A command to try on the finished run, depending on what its model can do."""
    model = locate("model", config.model["_target_"])
    if hasattr(model, "translate"):
        return command_line("translate", run=folder)
    able = next((name for name in ("sample", "reconstruct") if hasattr(model, name)), "evaluate")
    return command_line(able, run=folder)


def resume_and_report(stopped: StoppedRun, config: RunConfig) -> None:
    """Train a run until `config` is fulfilled."""
    log_to_console()
    folder = stopped.folder
    if stopped.is_done(config):
        longer = command_line("resume", run=folder, **{"trainer.max_steps": 2 * max(stopped.step, 1)})
        print(f"run        {folder}\nfinished   at step {stopped.step}; to train it longer:\nnext       {longer}")
        return
    _check_length(stopped, config)
    for line in stopped.damaged:
        print(f"damaged    {line}", file=sys.stderr)
    state = f" ({printable(stopped.state)})" if stopped.state else ""
    print(f"resumed    at step {stopped.step}{state}", file=sys.stderr)
    train_and_report(config, folder, stopped.start)


def _check_length(stopped: StoppedRun, config: RunConfig) -> None:
    steps = config.trainer.planned_steps(build_source(config.dataset).sizes["train"])
    if steps < stopped.step:
        earlier = command_line("resume", run=stopped.folder.checkpoints / "step_NNNNNNN.safetensors")
        raise ValueError(
            f"trainer.max_steps={steps}: this run has made {stopped.step} steps; ask for more, or continue from one of "
            f"its earlier checkpoints: {earlier}"
        )
