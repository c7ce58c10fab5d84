"""Load a `Run` from a checkpoint. The checkpoint alone defines the model to build and holds its weights."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.config.build import build_model, build_on_meta, check_size
from genlab.config.check import limit_problems, problems_of
from genlab.config.commands import UseConfig
from genlab.config.stored import check_weights, refuse, stored_config
from genlab.contract.data import DataSpec
from genlab.contract.settings import DeviceConfig, RunConfig
from genlab.inference.finding import find_run
from genlab.inference.run import Run
from genlab.media.kinds import kind_of
from genlab.system.device import MEMORY_FORMATS


def load(
    run: str | Path = "latest",
    device: str | torch.device = "cpu",
    output_dir: str = "outputs",
    weights: str = "averaged",
    precision: str = "fp32",
    memory_format: str = "contiguous",
    memory_budget: str | None = None,
) -> Run:
    """Load a run onto `device`, ready for inference: a run folder, a checkpoint file, "latest" (below
    `output_dir`), a folder of runs (its newest one) or a sweep (its best job).

    weights: "averaged" (the moving average, if the run kept one) or "raw". precision, memory_format,
    memory_budget: as `device.precision` ... `ValueError` if the run cannot be used.

    >>> run = genlab.load("outputs/vae-mnist/20261120-153012-5306")
    >>> images = run.sample(16, seed=0)      # [16, 1, 28, 28] in [0, 1]
    >>> latents = run.encode(images)         # [16, 20]
    """
    settings = DeviceConfig(
        "cpu", precision=precision, memory_format=memory_format, memory_budget=memory_budget, spin="auto"
    )
    if problems := list(limit_problems(UseConfig(weights=weights, device=settings))):
        raise ValueError("\n".join(problems))
    path, state = checkpoint.find(find_run(run, output_dir)[0])
    if missing := [name for name in ("config", "data", "step", "model", "ema") if name not in state]:
        raise ValueError(f"{path}: is no checkpoint of a run, it holds no {', '.join(missing)}")
    if not state["ema"]:
        weights = "raw"
    try:
        config, data = _config_and_data(state)
        check_size(like := build_on_meta(config, data))
    except ValueError as error:
        raise ValueError(f"{path}: its config cannot be used by this version\n{error}") from error
    found = {**state["model"], **(state["ema"] if weights == "averaged" else {})}
    if reason := next(_mismatches(like.state_dict(), found), None):
        raise ValueError(f"{path}: its weights do not fit the model that its config names ({reason})")
    with torch.random.fork_rng():
        model = build_model(config, data)
    model.load_state_dict(found)
    folder = RunFolder.of_checkpoint(path).path
    model.to(device).to(memory_format=MEMORY_FORMATS[memory_format]).eval().requires_grad_(False)
    return Run(folder, state["step"], config, data, model, torch.device(device), weights, precision, memory_budget)


def _config_and_data(state: dict) -> tuple[RunConfig, DataSpec]:
    """Config and data of a checkpoint. `ValueError` with one line for each reason why they cannot be used."""
    config = stored_config(state["config"])
    problems = problems_of(config)
    used = (node for node in problems if not node.startswith("callbacks"))  # which training alone needs
    refuse(line for node in used for line in problems[node])
    if type(state["step"]) is not int or state["step"] < 0:
        raise ValueError(f"step={str(state['step'])[:100]}: must be a whole number of at least 0")
    check_weights(state)
    data = DataSpec.from_dict(state["data"])
    for field in data.fields.values():
        kind_of(field)
    return config, data


def _mismatches(shapes: dict[str, Tensor], found: dict) -> Iterator[str]:
    """Reasons why the weights `found` do not fit a model whose weights look like `shapes`."""
    yield from (f"{name} is missing" for name in shapes if name not in found)
    yield from (f"{str(name)[:100]} is none of its weights" for name in found if name not in shapes)
    for name, like in shapes.items():
        if found[name].shape != like.shape:
            yield f"{name} does not have the shape {list(like.shape)}"
