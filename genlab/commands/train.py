"""`genlab train`: compose, check, hand over to the loop; `-m` hands a grid of jobs to Hydra's sweeper and launcher."""

import os
import shlex
import sys
from pathlib import Path

from genlab.commands.use import command_line
from genlab.config.compose import Job, RequestError, compose_job, register
from genlab.config.paths import config_folder
from genlab.logs import log_to_console
from genlab.training.lock import holds_run

HELP = """usage: genlab train [-m] [key=value ...] [--cfg job]

Train a model on a dataset; without arguments a VAE on the embedded digits.

  genlab train model=gan dataset=mnist trainer.max_steps=5000 optimizer.lr=1e-4
  genlab train model=vae dataset=image-folder dataset.path=PICTURES dataset.size=64
  genlab train -m model=vae,beta-vae seed=0,1,2         a sweep: every combination

{groups}

keys that are met most
  seed, output_dir, data_dir (default: $GENLAB_DATA, else data), init_from=RUN
  trainer.    max_steps (or max_steps=null max_epochs=20) batch_size clip ema log_every validate_every
              preview_every checkpoint_every early_stop_metric evaluate_every best_metric
  device.     precision memory_format compile cuda_graph micro_batch threads keep_memory deterministic processes
  optimizer.  lr betas weight_decay players
  loader.     storage memory_limit workers flip shift
  evaluation. metrics num_samples extractor importance_samples repeats: what trainer.evaluate_every measures
  watch.      action (warn, stop or rollback) every num_samples diversity_bound accuracy_bound
  sweep.      metric (what ranks jobs, as in validation/elbo) retry (jobs that failed before)
  hydra/      launcher (basic, joblib, submitit_slurm, ray) and sweeper (basic, optuna) of a sweep

options
  -m, --multirun   run every combination of comma-separated values; stands before them
  --cfg job        print the composed config and stop (add the same key=value)
  --help           this page"""


def main(arguments: list[str]) -> int:
    register()
    if arguments and "--cfg" in arguments:
        return _print_config(arguments)
    multirun = arguments[:1] in (["-m"], ["--multirun"])
    overrides = arguments[1:] if multirun else arguments
    if misplaced := [argument for argument in overrides if argument.startswith("-")]:
        rest = " ".join(argument for argument in overrides if not argument.startswith("-"))
        if misplaced[0] in ("-m", "--multirun"):
            raise RequestError([f"{misplaced[0]} stands before the settings: genlab train -m {rest}"])
        raise RequestError([f"{misplaced[0]}: no such option; see genlab train --help"])
    keys = {override.split("=")[0] for override in overrides}
    if "trainer.max_epochs" in keys and "trainer.max_steps" not in keys:
        raise RequestError(["trainer.max_epochs: the recipe counts steps, which win; add trainer.max_steps=null"])
    if not multirun and (of_sweeps := [key for key in keys if key.split(".")[0] == "sweep"]):
        raise RequestError([f"{of_sweeps[0]} needs -m: genlab train -m {' '.join(overrides)}"])
    if multirun:
        from genlab.commands.sweep import sweep

        return sweep(overrides)
    job = _compose(overrides)

    from genlab.config.request import check, plain

    if "RANK" in os.environ and "hydra.run.dir" not in keys:
        raise RequestError(["under torchrun a run must have a folder to be found again in: add hydra.run.dir=FOLDER"])
    request = plain(job.config, job.choices)
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) and holds_run(job.folder):
        from genlab.commands.resume import go_on
        from genlab.training.stopped import Stopped

        check(job.config, None)
        stopped = Stopped.read(job.folder)
        if differences := stopped.differences(request):
            raise ValueError("\n".join([f"{job.folder}: holds another run", *differences]))
        go_on(job.folder, request, stopped)
    else:
        check(job.config, job.folder)
        carry_out(request, job.folder)
    return 0


def _print_config(arguments: list[str]) -> int:
    """`--cfg job`: Hydra prints the config that it would compose, once that is known to be possible."""
    place = arguments.index("--cfg")
    flags, overrides = arguments[place : place + 2], arguments[:place] + arguments[place + 2 :]
    if flags[1:] not in (["job"], ["hydra"], ["all"]):
        raise RequestError(["--cfg: takes job, hydra or all, as in genlab train model=gan --cfg job"])
    compose_job("train", [override for override in overrides if override != "--resolve"])

    import hydra

    sys.argv = ["genlab train", *flags, *overrides]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")(lambda config: None)()
    return 0


def _compose(overrides: list[str]) -> Job:
    """The job asked for. Where composition finds mistakes, those that checking the rest finds are added to them."""
    try:
        return compose_job("train", overrides)
    except RequestError as error:
        if error.rest is None:
            raise
        from genlab.config.request import check

        try:
            check(error.rest.config, error.rest.folder)
        except RequestError as more:
            raise RequestError([*error.problems, *more.problems]) from None
        raise


def carry_out(request: dict, folder: Path, start: "Start | None" = None) -> dict[str, float]:  # noqa: F821
    """Train a new run, or go on from `start`, and tell the user what came of it and what is next."""
    from genlab.training.interruption import Interrupted
    from genlab.training.run import train

    log_to_console()
    print(f"run        {folder}", file=sys.stderr)
    try:
        final = train(request, folder, start)
    except Interrupted as error:
        raise Interrupted(error.number, f"{error}\nnext       {command_line('resume', run=folder)}") from None
    values = "  ".join(f"{name} {value:.4g}" for name, value in final.items() if name != "step")
    print(f"\nrun        {folder}\nfinal      {values}\npictures   {folder}/previews")
    print(f"next       {next_command(folder, request)}")
    print(f"           {shlex.join(['tensorboard', '--logdir', request['output_dir']])}")
    return final


def next_command(folder: Path, request: dict) -> str:
    """What to try with the finished run: what its model can do."""
    from genlab.config.check import locate

    model = locate("model", request["model"]["_target_"])
    if hasattr(model, "translate"):
        return command_line("translate", run=folder, input="FOLDER")
    able = next((name for name in ("sample", "reconstruct") if hasattr(model, name)), "evaluate")
    return command_line(able, run=folder)
