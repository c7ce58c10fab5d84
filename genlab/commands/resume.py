"""`genlab resume`: go on with a run as if it had never stopped."""

import os
import sys
from pathlib import Path

from omegaconf import OmegaConf

from genlab.commands.sweep import go_on as go_on_with_sweep
from genlab.commands.sweep import holds_sweep
from genlab.commands.train import carry_out
from genlab.commands.use import command_line
from genlab.config.compose import RequestError, compose_job, parse, register
from genlab.config.untrusted_files import read_json
from genlab.logs import log_to_console

HELP = """usage: genlab resume run=DIR [key=value ...]

Go on with a run that was stopped, killed or finished, in its own folder and to the bit as if it had never stopped.

  genlab resume                                        the run below outputs/ that wrote something last
  genlab resume run=outputs/vae-mnist/20261120-153012-5306 trainer.max_steps=50000
  genlab resume run=RUN/checkpoints/step_0010000.pt    from an earlier checkpoint; what lies behind it is done again
  genlab resume run=outputs/sweeps/vae-mnist/20261120-160000-a96f sweep.retry=true     what is left of a sweep

keys
  run          a run folder, one of its checkpoints, a sweep's folder, or latest (default)
  output_dir   where run=latest looks

keys of the run that may change
  trainer.     max_steps max_epochs early_stop_patience keep_checkpoints
               log_every validate_every preview_every evaluate_every checkpoint_every
  device.      all; results stay the same to the bit with the same kind of device, precision, memory_format, compile,
               cuda_graph, threads and processes
  loader.      storage memory_limit workers
  logger.      all
  data_dir     where the data lies

keys of a sweep
  sweep.       retry: true tries jobs again that failed
  hydra        hydra/launcher=NAME and hydra.launcher.KEY, as in genlab train -m; other keys stay as they are

Anything else would be another run: genlab train ... init_from=RUN begins one from the weights of this."""


def main(arguments: list[str]) -> int:
    from genlab.config.request import check
    from genlab.sampling.load import latest
    from genlab.training.stopped import Stopped

    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ValueError(f"{flags[0]}: no such option; see genlab resume --help")
    register()
    own = [override.input_line for override in parse(arguments) if override.key_or_group in ("run", "output_dir")]
    config = compose_job("resume", own).config
    run = latest(config.output_dir, "status.json") if config.run == "latest" else config.run
    others = [argument for argument in arguments if argument not in own]
    if holds_sweep(Path(run)):
        return go_on_with_sweep(Path(run), others)
    stopped = Stopped.read(run)
    request = _revised(stopped, others)
    if not stopped.is_done(request):
        check(request, None)
    go_on(stopped.folder, OmegaConf.to_container(request), stopped)
    return 0


def _revised(stopped, overrides: list[str]):
    """The run's config with what the command line changes."""
    from genlab.config.build import build_source
    from genlab.config.revise import revise
    from genlab.sampling.inputs import is_ready

    try:
        revised = revise(stopped.config, overrides)
    except RequestError as error:
        begin = command_line("train", init_from=stopped.folder)
        hint = f"what may change says genlab resume --help; a new run from these weights: {begin} ..."
        raise RequestError([*error.problems, hint]) from None
    given = {override.key_or_group for override in parse(overrides)}
    if "trainer.max_epochs" in given and "trainer.max_steps" not in given and revised.trainer.max_steps is not None:
        raise RequestError(["trainer.max_epochs: the run counts steps, which win; add trainer.max_steps=null"])
    if "data_dir" in revised.dataset:
        if "data_dir" in given:
            revised.dataset.data_dir = revised.data_dir
        elif not is_ready(build_source(revised)):  # nothing is fetched to where a stranger's run says
            revised.dataset.data_dir = os.environ.get("GENLAB_DATA", "data")
    return revised


def _check_length(stopped, request) -> None:
    from genlab.config.build import build_source
    from genlab.config.schema import TrainerConfig
    from genlab.training.trainer import planned_steps

    steps = planned_steps(TrainerConfig(**request.trainer), build_source(request).sizes["train"])
    if steps < stopped.step:
        raise ValueError(
            f"trainer.max_steps={steps}: this run has made {stopped.step} steps; ask for more, or go on from one of "
            f"its earlier checkpoints: {command_line('resume', run=stopped.folder / 'checkpoints/step_NNNNNNN.pt')}"
        )


def go_on(folder: Path, request: dict, stopped=None) -> dict[str, float]:
    """Let the run in `folder` do what is left of `request`; returns its final metrics."""
    from genlab.training.stopped import Stopped

    log_to_console()
    stopped = stopped or Stopped.read(folder)
    if stopped.is_done(request):
        longer = command_line("resume", run=folder, **{"trainer.max_steps": 2 * max(stopped.step, 1)})
        print(f"run        {folder}\nfinished   at step {stopped.step}; to train it longer:\nnext       {longer}")
        return read_json(folder / "status.json")["final"]
    _check_length(stopped, OmegaConf.create(request))
    for line in stopped.damaged:
        print(f"damaged    {line}", file=sys.stderr)
    print(f"resumed    at step {stopped.step}" + (f" ({stopped.state})" if stopped.state else ""), file=sys.stderr)
    return carry_out(request, folder, stopped.start)
