"""A trained model ready for inference, in batches that fit in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.config.options import models_that_can
from genlab.contract.data import DataSpec
from genlab.contract.model import CAPABILITIES, GenerativeModel
from genlab.contract.settings import RunConfig
from genlab.inference.interpolation import even, walk
from genlab.inference.scoring import METHODS
from genlab.inference.traversal import check_latents, one_at_a_time
from genlab.system.device import computing
from genlab.system.distributed import shard
from genlab.system.seeding import seeded

BATCH = 256
"""Images per forward pass."""


@dataclass
class Run:
    """A model in evaluation mode, and its origin. Methods take and return tensors on the CPU.

    folder: the run folder. step: training step of the checkpoint. config: the complete config of the run. data: the
    data that the model was built for. weights: "averaged" (the moving average, if the run kept one) or "raw".
    precision: `device.precision`, used for the networks.

    A method raises `ValueError` if the model lacks the capability it needs, and names the models that have it.
    """

    folder: Path
    step: int
    config: RunConfig
    data: DataSpec
    model: GenerativeModel
    device: torch.device
    weights: str = "averaged"
    precision: str = "fp32"

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Context for calling the model: no gradients, and the run's own precision, whatever the caller's."""
        with torch.no_grad(), computing(self.device, self.precision):
            yield

    def can(self, *names: str) -> bool:
        """Whether the model has all of these capabilities (keys of `genlab.contract.model.CAPABILITIES`)."""
        return all(hasattr(self.model, name) for name in names)

    def capability(self, name: str) -> Callable[..., Any]:
        """The model's method `name`. `ValueError` if it has none."""
        if not self.can(name):
            own = [words for able, words in CAPABILITIES.items() if self.can(able)]
            raise ValueError(
                f"run={self.folder}: model {self.config.choices.model} cannot {CAPABILITIES[name]}, "
                f"it can {', '.join(own)}; models that can: {', '.join(models_that_can(name))}"
            )
        return getattr(self.model, name)

    @property
    def takes_labels(self) -> bool:
        """Whether the model is conditioned on labels."""
        return "label" in self.model.requires

    @property
    def num_latents(self) -> int:
        """Dimension L of the latents that the model decodes."""
        if self.can("prior"):
            return self.prior(1).shape[1]
        return self.encode(torch.zeros(1, *self.data.shape)).shape[1]

    def check_label(self, label: Tensor | int | None) -> None:
        """`ValueError` if the model takes no labels, or if `label` or one of its entries is not a class."""
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
        """Batches of images [n, C, H, W] in [0, 1] and their labels [n]; None for models that take no labels.

        A batch depends only on the seed and its index. label: class of all images, None to cycle through the classes.
        truncation: see `genlab.models.latents.standard_normal`; needs a model with a prior.
        shared: yield only this process's share of the batches, when several processes train together.
        """
        self.check_label(label)
        if num_samples < 1:
            raise ValueError(f"num_samples={num_samples}: must be at least 1")
        for name in ("sample",) if truncation is None else ("prior", "decode"):
            self.capability(name)
        starts: Any = enumerate(range(0, num_samples, BATCH))
        for number, start in shard(starts) if shared else starts:
            count = min(BATCH, num_samples - start)
            labels = None
            if self.takes_labels:
                cycle = torch.arange(start, start + count) % self.data.num_classes
                labels = cycle if label is None else torch.full((count,), label)
            with self.inference(), seeded(seed, number):
                if truncation is None:
                    x = self.capability("sample")(count, label=None if labels is None else labels.to(self.device))
                else:
                    x = self._decode(self.capability("prior")(count, truncation), labels)
            yield x.float().cpu(), labels

    def sample(
        self, num_samples: int, seed: int = 0, label: int | None = None, truncation: float | None = None
    ) -> Tensor:
        """New images [num_samples, C, H, W] in [0, 1]. Arguments as for `draw`."""
        return torch.cat([x for x, _ in self.draw(num_samples, seed, label, truncation)])

    def prior(self, num_samples: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """Latents [num_samples, L] from the prior: the ones that `sample` decodes for this seed."""
        prior, parts = self.capability("prior"), []
        for number, start in enumerate(range(0, num_samples, BATCH)):
            with self.inference(), seeded(seed, number):
                parts.append(prior(min(BATCH, num_samples - start), truncation).cpu())
        return torch.cat(parts)

    def decode(self, z: Tensor, label: Tensor | int | None = None) -> Tensor:
        """Decode latents [..., L] to images [..., C, H, W] in [0, 1].

        label: one class, or one for each entry of the first axis, for models that take labels.
        """
        self.capability("decode")
        self.check_label(label)
        arguments = [z.flatten(0, -2)]
        if self.takes_labels:
            labels = torch.as_tensor(0 if label is None else label).expand(len(z))
            arguments.append(labels.repeat_interleave(len(arguments[0]) // max(len(z), 1)))
        return self._in_batches(self._decode, *arguments).unflatten(0, z.shape[:-1])

    def encode(self, x: Tensor) -> Tensor:
        """Latents [N, L] of images [N, C, H, W] in [0, 1]."""
        return self._in_batches(self.capability("encode"), self.checked(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions of images [N, C, H, W] in [0, 1], of the same shape."""
        return self._in_batches(self.capability("reconstruct"), self.checked(x))

    def translate(self, x: Tensor, to: str, seed: int = 0) -> Tensor:
        """Images [N, C, H, W] in [0, 1] translated to domain `to` ("a" or "b")."""
        translate = self.capability("translate")
        if to not in self.data.domains:
            raise ValueError(f"to={to}: this run translates to {' and '.join(self.data.domains)}")
        with seeded(seed):
            return self._in_batches(lambda part: translate(part, to), self.checked(x))

    def interpolate(
        self, start: Tensor, end: Tensor, steps: int = 10, path: str = "spherical", label: Tensor | int | None = None
    ) -> Tensor:
        """Images [N, steps, C, H, W] in [0, 1] on the path from latents `start` [N, L] to `end`.

        path: "spherical" keeps the norm typical of normal noise, "linear" is a straight line.
        label: one class or [N], for models that take labels.
        """
        return self.decode(walk(start, end, even(steps), path), label)

    def traverse(
        self, latents: Sequence[int], values: Tensor, start: Tensor | None = None, label: int | None = None
    ) -> Tensor:
        """Images [K, S, C, H, W] in [0, 1]: row k varies latent dimension `latents[k]` and fixes the others.

        values: of the varied dimension, [S] for all rows or [K, S]. start: the fixed dimensions [L], None for zeros,
        the mean of a standard normal prior.
        """
        self.capability("decode")
        size = self.num_latents
        check_latents(latents, size)
        return self.decode(one_at_a_time(torch.zeros(size) if start is None else start, latents, values), label)

    def score(self, x: Tensor, method: str | None = None, seed: int = 0, importance_samples: int = 64) -> Tensor:
        """How unlikely images [N, C, H, W] in [0, 1] are: float64 [N], higher is less likely.

        method: a key of `genlab.inference.scoring.METHODS`, None for the first that the model supports.
        importance_samples: latents drawn per image for the likelihood bounds.
        """
        method = self.score_method(method)
        parts = enumerate(self.checked(x).split(BATCH))
        return torch.cat([self.score_batch(part, method, seed, n, importance_samples) for n, part in parts])

    def score_method(self, method: str | None = None) -> str:
        """`method`, or by default the first that the model supports. `ValueError` if it is unsupported, or none is."""
        able = [name for name, entry in METHODS.items() if self.can(entry.needs)]
        model = self.config.choices.model
        if not able:
            others = sorted({name for entry in METHODS.values() for name in models_that_can(entry.needs)})
            raise ValueError(
                f"run={self.folder}: model {model} has no way to score images; models that have one: "
                f"{', '.join(others)}"
            )
        if method is not None and method not in able:
            reason = f"no such method; model {model}"
            if method in METHODS:
                reason = f"model {model} cannot {CAPABILITIES[METHODS[method].needs]}; it"
            raise ValueError(f"method={method}: {reason} can score by {', '.join(able)}")
        return method or able[0]

    def score_batch(self, x: Tensor, method: str, seed: int, number: int, importance_samples: int) -> Tensor:
        """Scores float64 [n] of one batch: a function of the images, the seed and `number`, the batch's index."""
        with self.inference(), seeded(seed, number):
            return METHODS[method].score(self.model, x.to(self.device), importance_samples).cpu().double()

    def checked(self, x: Tensor) -> Tensor:
        """Return `x`. `ValueError` unless its images have the run's shape: [N, C, H, W]."""
        if x.shape[1:] != self.data.shape:
            raise ValueError(f"images of shape {list(x.shape)}: this run takes {['N', *self.data.shape]}")
        return x

    def _decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        decode = self.capability("decode")
        return decode(z) if labels is None else decode(z, label=labels.to(self.device))

    def _in_batches(self, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
        with self.inference():
            parts = zip(*(argument.split(BATCH) for argument in arguments), strict=True)
            return torch.cat([function(*(part.to(self.device) for part in row)).float().cpu() for row in parts])
