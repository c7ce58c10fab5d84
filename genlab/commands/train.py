"""`genlab train`: check the request and train; `-m` hands a grid of jobs to Hydra's sweeper and launcher."""

import sys
from contextlib import redirect_stdout
from io import StringIO

import hydra

from genlab.checkpoints.folder import RunFolder
from genlab.commands.requests import TrainRequest
from genlab.commands.running import resume_and_report, train_and_report
from genlab.commands.sweep import sweep
from genlab.config.files import with_comments
from genlab.config.paths import config_folder
from genlab.runs.check import check
from genlab.runs.resumable import StoppedRun
from genlab.system import torchrun
from genlab.system.logs import log_to_console


def main(request: TrainRequest) -> int:
    if request.show:
        return _print_config(request)
    if request.job is None:
        return sweep(request.overrides)
    log_to_console()
    config, folder = request.job.config, RunFolder(request.job.folder)
    named = any(line.startswith("hydra.run.dir=") for line in request.overrides)
    if torchrun.started_this() and not named:
        raise ValueError("under torchrun a run needs a fixed folder: add hydra.run.dir=FOLDER")
    again = torchrun.restarts() > 0 and folder.holds_run
    check(config, None if again else folder.path, found_before=request.found)
    if again:
        resume_and_report(StoppedRun.of(folder, config), config)
    else:
        train_and_report(config, folder)
    return 0


def _print_config(request: TrainRequest) -> int:
    """Print the config as Hydra composes it, with the comments of its files."""
    sys.argv = ["genlab train", *request.show, *request.overrides]
    with redirect_stdout(StringIO()) as text:
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")(lambda config: None)()
    print(with_comments(text.getvalue(), request.comments), end="")
    return 0
