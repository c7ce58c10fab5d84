"""A trained run, ready to use: the checkpoint alone says what to build, and holds the weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from genlab.config.build import build_model
from genlab.config.check import locate, problems_of
from genlab.config.compose import options
from genlab.config.earlier import brought_up
from genlab.config.paths import config_folder
from genlab.config.request import check_size, sketch
from genlab.config.schema import CHOICES
from genlab.config.stranger import check_config, check_weights
from genlab.data.spec import DataSpec
from genlab.models.base import CAPABILITIES, GenerativeModel
from genlab.sampling.interpolation import decode_rows, even, walk
from genlab.sampling.scoring import choose_method, score_portion
from genlab.sampling.traversal import check_latents, num_latents, one_at_a_time
from genlab.seeding import seeded
from genlab.training import checkpoint
from genlab.training.device import MEMORY_FORMATS, computing
from genlab.training.distributed import share

PORTION = 256
"""Pictures that go through a model at once."""


@dataclass
class Run:
    """A model in evaluation mode, and where it came from. What its methods take and give lies on the CPU.

    folder: the run's folder; step: that of the checkpoint; config: the run's whole config; data: what it was shaped
    for; weights: "averaged" (their moving average where the run kept one) or "raw"; precision: of `device.precision`,
    in which the networks are computed.

    Every method that asks for a capability which the model lacks raises `ValueError`, naming the models that have it.
    """

    folder: Path
    step: int
    config: DictConfig
    data: DataSpec
    model: GenerativeModel
    device: torch.device
    weights: str = "averaged"
    precision: str = "fp32"

    def inference(self) -> AbstractContextManager:
        """What the model is called in: no gradients, and the run's own precision, whatever surrounds it."""
        context = ExitStack()
        context.enter_context(torch.no_grad())
        context.enter_context(computing(self.device, self.precision))
        return context

    def can(self, *names: str) -> bool:
        """Whether the model has all these capabilities, of `genlab.models.base.CAPABILITIES`."""
        return all(hasattr(self.model, name) for name in names)

    def capability(self, name: str) -> Callable:
        """The model's method `name`. `ValueError` where it has none."""
        if not self.can(name):
            own = [words for able, words in CAPABILITIES.items() if self.can(able)]
            raise ValueError(
                f"run={self.folder}: model {self.config.choices.model} cannot {CAPABILITIES[name]}, "
                f"it can {', '.join(own)}; models that can: {', '.join(models_that_can(name))}"
            )
        return getattr(self.model, name)

    @property
    def takes_labels(self) -> bool:
        """Whether the model paints under a label."""
        return "label" in self.model.requires

    def check_label(self, label: Tensor | int | None) -> None:
        """`ValueError` where the model takes no labels, or not this one, or not one of these."""
        if label is None:
            return
        labels = torch.as_tensor(label)
        if not self.takes_labels:
            raise ValueError(f"label={labels.tolist()}: model {self.config.choices.model} takes no labels")
        if unknown := labels[(labels < 0) | (labels >= self.data.num_classes)].tolist():
            named = unknown[0] if isinstance(unknown, list) else unknown
            raise ValueError(f"label={named}: this run knows the classes 0 to {self.data.num_classes - 1}")

    def draw(
        self,
        num_samples: int,
        seed: int = 0,
        label: int | None = None,
        truncation: float | None = None,
        shared: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Portions of pictures [n, C, H, W] in [0, 1] and their labels [n], None for models that take none.

        Every portion is a function of (seed, its number). label: class of all of them, None for all classes in turn.
        truncation: see `genlab.models.latents.standard_normal`; needs a model with a prior.
        shared: only those portions that are this process's share, of several that train.
        """
        self.check_label(label)
        if num_samples < 1:
            raise ValueError(f"num_samples={num_samples}: must be at least 1")
        for name in ("sample",) if truncation is None else ("prior", "decode"):
            self.capability(name)
        portions = enumerate(range(0, num_samples, PORTION))
        for number, start in share(portions) if shared else portions:
            count = min(PORTION, num_samples - start)
            labels = None
            if self.takes_labels:
                turns = torch.arange(start, start + count) % self.data.num_classes
                labels = turns if label is None else torch.full((count,), label)
            with self.inference(), seeded(seed, number):
                if truncation is None:
                    x = self.model.sample(count, label=None if labels is None else labels.to(self.device))
                else:
                    x = self._decode(self.model.prior(count, truncation), labels)
            yield x.float().cpu(), labels

    def sample(
        self, num_samples: int, seed: int = 0, label: int | None = None, truncation: float | None = None
    ) -> Tensor:
        """New pictures [num_samples, C, H, W] in [0, 1], as `draw` gives them."""
        return torch.cat([x for x, _ in self.draw(num_samples, seed, label, truncation)])

    def prior(self, num_samples: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """Latents [num_samples, L] to decode: those of the pictures that `sample` gives for this seed."""
        prior, parts = self.capability("prior"), []
        for number, start in enumerate(range(0, num_samples, PORTION)):
            with self.inference(), seeded(seed, number):
                parts.append(prior(min(PORTION, num_samples - start), truncation).cpu())
        return torch.cat(parts)

    def decode(self, z: Tensor, label: Tensor | int | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [0, 1] of latents [N, L]; `label`: one or [N], for models that take labels."""
        self.capability("decode")
        self.check_label(label)
        if self.takes_labels:
            label = torch.as_tensor(0 if label is None else label).expand(len(z))
            return self._portions(self._decode, z, label)
        return self._portions(self._decode, z)

    def encode(self, x: Tensor) -> Tensor:
        """Latents [N, L] of pictures [N, C, H, W] in [0, 1]."""
        return self._portions(self.capability("encode"), self.fitting(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """What the model makes of pictures [N, C, H, W] in [0, 1]: as many, of the same shape."""
        return self._portions(self.capability("reconstruct"), self.fitting(x))

    def translate(self, x: Tensor, to: str, seed: int = 0) -> Tensor:
        """Pictures [N, C, H, W] in [0, 1] carried to domain `to` ("a" or "b")."""
        translate = self.capability("translate")
        if to not in self.data.domains:
            raise ValueError(f"to={to}: this run translates to {' and '.join(self.data.domains)}")
        with seeded(seed):
            return self._portions(lambda part: translate(part, to), self.fitting(x))

    def interpolate(
        self, start: Tensor, end: Tensor, steps: int = 10, path: str = "spherical", label: Tensor | int | None = None
    ) -> Tensor:
        """Pictures [N, steps, C, H, W] in [0, 1] on the way from latents `start` [N, L], of `prior` or `encode`, to
        `end`.

        path: "spherical" keeps the length that normal noise has, "linear" is the straight line.
        label: one or [N], for models that take labels.
        """
        self.capability("decode")
        return decode_rows(self, walk(start, end, even(steps), path), label)

    def traverse(
        self, latents: Sequence[int], values: Tensor, start: Tensor | None = None, label: int | None = None
    ) -> Tensor:
        """Pictures [K, S, C, H, W] in [0, 1]: row k moves latent number `latents[k]` and holds the others.

        values: what the moved latent is set to, [S] for all rows or [K, S]; start: the others [L], None for zeros,
        which is the middle of a standard normal prior.
        """
        self.capability("decode")
        size = num_latents(self)
        check_latents(latents, size)
        start = torch.zeros(size) if start is None else start
        return decode_rows(self, one_at_a_time(start, latents, values), label)

    def score(self, x: Tensor, method: str | None = None, seed: int = 0, importance_samples: int = 64) -> Tensor:
        """How unlikely pictures [N, C, H, W] in [0, 1] are: float64 [N], higher is less likely.

        method: of `genlab.sampling.scoring.METHODS`, None for the first that the model can do.
        importance_samples: draws of the latent for each picture, for the bounds on the likelihood.
        """
        method = choose_method(self, method)
        parts = enumerate(self.fitting(x).split(PORTION))
        return torch.cat([score_portion(self, part, method, seed, n, importance_samples) for n, part in parts])

    def fitting(self, x: Tensor) -> Tensor:
        """`x` itself; `ValueError` unless it is pictures [N, C, H, W] of the run's shape."""
        if x.shape[1:] != self.data.shape:
            raise ValueError(f"pictures of shape {list(x.shape)}: this run takes {['N', *self.data.shape]}")
        return x

    def _decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.model.decode(z) if labels is None else self.model.decode(z, label=labels.to(self.device))

    def _portions(self, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        with self.inference():
            parts = zip(*(argument.split(PORTION) for argument in arguments), strict=True)
            return torch.cat([function(*(part.to(self.device) for part in row)).float().cpu() for row in parts])


def models_that_can(*capabilities: str) -> list[str]:
    """Names of the models that have all these capabilities."""
    targets = {name: OmegaConf.load(config_folder() / "model" / f"{name}.yaml").model for name in options("model")}
    found = {name: locate("model", OmegaConf.to_container(node)["_target_"]) for name, node in targets.items()}
    return [name for name, model in found.items() if all(hasattr(model, word) for word in capabilities)]


def latest(output_dir: str, file: str = "checkpoints/last.pt") -> Path:
    """The folder of the run below `output_dir` whose `file` is the youngest: by default, that saved last."""
    found = [*Path(output_dir).glob(f"*/*/{file}"), *Path(output_dir).glob(f"sweeps/*/*/*/{file}")]
    if not found:
        what = "run with a checkpoint" if file.endswith(".pt") else "run"
        raise ValueError(f"run=latest: no {what} below {output_dir}; train one with: genlab train")
    youngest = max(found, key=lambda path: path.stat().st_mtime)
    return youngest.parents[len(Path(file).parts) - 1]


def _request(state: dict) -> tuple[DictConfig, DataSpec]:
    """Config and data of a checkpoint. `ValueError` with a line for each reason why it is none of GenLab's."""
    check_config(state["config"])
    config = brought_up(state["config"])
    if problems := problems_of(config):
        raise ValueError("\n".join(line for lines in problems.values() for line in lines))
    if type(state["step"]) is not int or state["step"] < 0:
        raise ValueError(f"step={str(state['step'])[:100]}: must be a whole number of at least 0")
    check_weights(state)
    return config, DataSpec.from_dict(state["data"])


def _misfits(shapes: dict[str, Tensor], found: dict) -> Iterator[str]:
    """Why the weights that were found are not those of the model that has `shapes`."""
    yield from (f"{name} is missing" for name in shapes if name not in found)
    yield from (f"{str(name)[:100]} is none of its weights" for name in found if name not in shapes)
    for name, like in shapes.items():
        if found[name].shape != like.shape:
            yield f"{name} does not have the shape {list(like.shape)}"


def load(
    run: str | Path = "latest",
    device: str | torch.device = "cpu",
    output_dir: str = "outputs",
    weights: str = "averaged",
    precision: str = "fp32",
    memory_format: str = "contiguous",
) -> Run:
    """A run folder, a checkpoint file or "latest" (below `output_dir`), ready to use on `device`.

    weights: "averaged" (their moving average where the run kept one) or "raw"; precision, memory_format: as
    `device.precision` and `device.memory_format`. `ValueError` where it cannot be used.

    >>> run = genlab.load("outputs/vae-mnist/20261120-153012-5306")
    >>> pictures = run.sample(16, seed=0)      # [16, 1, 28, 28] in [0, 1]
    >>> codes = run.encode(pictures)           # [16, 20]
    """
    asked = {"weights": weights, "device.precision": precision, "device.memory_format": memory_format}
    for key, value in asked.items():
        if value not in CHOICES[key]:
            raise ValueError(f"{key}={value}: must be one of {', '.join(CHOICES[key])}")
    path, state = checkpoint.find(latest(output_dir) if run == "latest" else run)
    if missing := [name for name in ("config", "data", "step", "model", "ema") if name not in state]:
        raise ValueError(f"{path}: is no checkpoint of a run, it holds no {', '.join(missing)}")
    if not state["ema"]:
        weights = "raw"
    try:
        config, data = _request(state)
        check_size(like := sketch(config, data))
    except ValueError as error:
        raise ValueError(f"{path}: its config cannot be used by this version\n{error}") from error
    found = {**state["model"], **(state["ema"] if weights == "averaged" else {})}
    if reason := next(_misfits(like.state_dict(), found), None):
        raise ValueError(f"{path}: its weights do not fit the model that its config names ({reason})")
    with torch.random.fork_rng():
        model = build_model(config, data)
    model.load_state_dict(found)
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    model = model.to(device, memory_format=MEMORY_FORMATS[memory_format]).eval().requires_grad_(False)
    return Run(folder, state["step"], config, data, model, torch.device(device), weights, precision)
