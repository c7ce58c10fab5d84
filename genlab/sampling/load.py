"""A trained run, ready to use: the checkpoint alone says what to build, and holds the weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from genlab.config.build import build_model
from genlab.config.check import problems_of
from genlab.data.spec import DataSpec
from genlab.models.base import GenerativeModel
from genlab.training import checkpoint


@dataclass
class Run:
    """A model in evaluation mode under its averaged weights, and where it came from.

    folder: the run's folder; step: that of the checkpoint; config: the run's whole config.
    """

    folder: Path
    step: int
    config: DictConfig
    data: DataSpec
    model: GenerativeModel
    device: torch.device

    def capability(self, name: str):
        """The model's method `name`. `ValueError` where it has none."""
        if not hasattr(self.model, name):
            able = [word for word in ("sample", "encode", "reconstruct", "translate") if hasattr(self.model, word)]
            raise ValueError(
                f"run={self.folder}: model {self.config.choices.model} cannot {name}; it can {', '.join(able)}"
            )
        return getattr(self.model, name)


def latest(output_dir: str) -> Path:
    """The folder of the run below `output_dir` that saved a checkpoint last."""
    found = [
        *Path(output_dir).glob("*/*/checkpoints/last.pt"),
        *Path(output_dir).glob("sweeps/*/*/*/checkpoints/last.pt"),
    ]
    if not found:
        raise ValueError(f"run=latest: no run with a checkpoint below {output_dir}; train one with: genlab train")
    return max(found, key=lambda path: path.stat().st_mtime).parent.parent


def load(run: str, device: torch.device, output_dir: str = "outputs") -> Run:
    """Load a run folder, a checkpoint file or "latest". `ValueError` where it cannot be used."""
    path = checkpoint.find(latest(output_dir) if run == "latest" else run)
    state = checkpoint.load(path)
    config = OmegaConf.create(state["config"])
    if problems := problems_of(config):
        lines = [line for lines in problems.values() for line in lines]
        raise ValueError("\n".join([f"{path}: its config cannot be used by this version", *lines]))
    data = DataSpec.from_dict(state["data"])
    with torch.random.fork_rng():
        model = build_model(config, data)
    model.load_state_dict({**state["model"], **state["ema"]})
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return Run(folder, state["step"], config, data, model.to(device).eval().requires_grad_(False), device)
