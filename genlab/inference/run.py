"""A trained model ready for inference, in batches that fit in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.config.options import models_that_can
from genlab.contract.data import Condition, DataSpec, select
from genlab.contract.model import CAPABILITIES, GenerativeModel
from genlab.contract.settings import RunConfig
from genlab.inference.arrays import Array, examples_of, floats
from genlab.inference.conditioning import Conditioning
from genlab.inference.interpolation import even, walk
from genlab.inference.scorer import Scorer
from genlab.inference.traversal import check_latents, one_at_a_time
from genlab.system.device import computing, memory_budget
from genlab.system.distributed import shard
from genlab.system.portions import Portions, rows_at_once
from genlab.system.seeding import seeded


@dataclass(repr=False)
class Run:
    """A model in evaluation mode, and its origin. Methods take tensors or numpy arrays, and return tensors on the CPU.

    folder: the run folder. step: training step of the checkpoint. config: the complete config of the run. data: the
    data that the model was built for. weights: "averaged" (the moving average, if the run kept one) or "raw".
    precision, memory_budget: `device.precision` and `device.memory_budget`, used for the networks.

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
    memory_budget: str | None = None

    def __repr__(self) -> str:
        choices = self.config.choices
        return f"Run({choices.model} on {choices.dataset}, step {self.step}, {self.folder})"

    @cached_property
    def rows(self) -> int:
        """Examples in a batch."""
        return rows_at_once(*(self.data[domain].shape for domain in self.data.domains))

    @cached_property
    def portions(self) -> Portions:
        """What keeps the networks within the budget."""
        return Portions(self.model, memory_budget(self.device, self.memory_budget))

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Context for calling the model: no gradients, and the run's own precision and portions, not the caller's."""
        with torch.no_grad(), computing(self.device, self.precision), self.portions.applied():
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
    def conditioning(self) -> Conditioning:
        """What samples are conditioned on."""
        return Conditioning(self.model, self.config.choices.model)

    @property
    def num_latents(self) -> int:
        """Dimension L of the latents that the model decodes. `ValueError` if they are no vectors."""
        x = torch.zeros(1, *self.data.shape)
        z = self.prior(1) if self.can("prior") else self.encode(x, self.conditioning.varied(1))
        if z.ndim != 2:
            raise ValueError(f"run={self.folder}: its latents are no vectors, but of shape {list(z.shape[1:])}")
        return z.shape[1]

    def draw(
        self,
        num_samples: int,
        seed: int = 0,
        condition: Mapping[str, Any] | None = None,
        shared: bool = False,
        **sampling: Any,
    ) -> Iterator[tuple[Tensor, Condition]]:
        """Batches of samples [n, *shape] and their conditions, each with n rows; empty for models without conditions.

        A batch depends only on the arguments and its index. condition: a value for all samples, or rows, by field; a
        shorter list of labels is taken in turn, as all classes are if there are none. sampling: options of `sample`.
        shared: yield only this process's share of the batches, when several processes train together.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples={num_samples}: must be at least 1")
        sample = self.capability("sample")
        self.conditioning.check_sampling(sampling)
        fixed = self.conditioning.rows(num_samples, self.conditioning.in_turn(num_samples, condition or {}))
        starts: Any = enumerate(range(0, num_samples, self.rows))
        for number, start in shard(starts) if shared else starts:
            count = min(self.rows, num_samples - start)
            given = self.conditioning.varied(count, start, select(fixed, slice(start, start + count)))
            with self.inference(), seeded(seed, number):
                x = sample(count, *self.model.given(self.on_device(given)), **sampling)
            yield x.float().cpu(), given

    def sample(
        self, num_samples: int, seed: int = 0, condition: Mapping[str, Any] | None = None, **sampling: Any
    ) -> Tensor:
        """New samples [num_samples, *shape]. Arguments as for `draw`."""
        return torch.cat([x for x, _ in self.draw(num_samples, seed, condition, **sampling)])

    def prior(self, num_samples: int, seed: int = 0) -> Tensor:
        """Latents [num_samples, L] from the prior: the ones that `sample` decodes for this seed."""
        prior, parts = self.capability("prior"), []
        for number, start in enumerate(range(0, num_samples, self.rows)):
            with self.inference(), seeded(seed, number):
                parts.append(prior(min(self.rows, num_samples - start)).cpu())
        return torch.cat(parts)

    def decode(self, z: Array, condition: Mapping[str, Any] | None = None) -> Tensor:
        """Decode latents [N, ..., L] to examples [N, ..., *shape]. condition: a row for each entry of the first axis,
        by default labels in turn."""
        decode, z = self.capability("decode"), floats(z)
        flat, count = z.flatten(0, -2), len(z)
        given = self.conditioning.varied(count, values=condition)
        rows = torch.arange(count).repeat_interleave(len(flat) // max(count, 1))
        return self._in_batches(decode, flat, select(given, rows)).unflatten(0, z.shape[:-1])

    def encode(self, x: Array, condition: Mapping[str, Any] | None = None) -> Tensor:
        """Latents [N, L] of examples [N, *shape]. condition: rows or one value by field."""
        return self._applied("encode", x, condition)

    def reconstruct(self, x: Array, condition: Mapping[str, Any] | None = None) -> Tensor:
        """Reconstructions of examples [N, *shape], of the same shape. condition: as for `encode`."""
        return self._applied("reconstruct", x, condition)

    def translate(self, x: Array, to: str, seed: int = 0) -> Tensor:
        """Images [N, C, H, W] in [0, 1] translated to domain `to` ("a" or "b")."""
        translate, rows = self.capability("translate"), examples_of(x, self.data[self.origin_of(to)])
        with seeded(seed):
            return self._in_batches(lambda part, *given: translate(part, to), rows)

    def origin_of(self, to: str) -> str:
        """The domain that is translated to domain `to`. `ValueError` if this run does not translate there."""
        if to not in self.model.targets:
            raise ValueError(f"to={to}: this run translates to {' and '.join(self.model.targets)}")
        return next(domain for domain in self.data.domains if domain != to)

    def interpolate(
        self, start: Array, end: Array, steps: int = 10, path: str = "spherical", condition: Any = None
    ) -> Tensor:
        """Examples [N, steps, *shape] on the path from latents `start` [N, L] to `end`.

        path: "spherical" keeps the norm typical of normal noise, "linear" is a straight line.
        condition: a row for each path; by default labels in turn.
        """
        return self.decode(walk(floats(start), floats(end), even(steps), path), condition)

    def traverse(
        self,
        latents: Sequence[int],
        values: Array,
        start: Array | None = None,
        condition: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Examples [K, S, *shape]: row k varies latent dimension `latents[k]` and fixes the others.

        values: of the varied dimension, [S] for all rows or [K, S]. start: the fixed dimensions [L], None for zeros,
        the mean of a standard normal prior. condition: values for all, by field; labels are 0 by default.
        """
        self.capability("decode")
        size = self.num_latents
        check_latents(latents, size)
        fixed = torch.zeros(size) if start is None else floats(start)
        z = one_at_a_time(fixed, latents, floats(values, "values"))
        return self.decode(z, self.conditioning.constant(len(z), condition))

    def score(
        self,
        x: Array,
        method: str | None = None,
        seed: int = 0,
        importance_samples: int = 64,
        condition: Condition | None = None,
    ) -> Tensor:
        """How unlikely examples [N, *shape] are: float64 [N], higher is less likely.

        method: a key of `genlab.inference.scoring.METHODS`, None for the first that the model supports.
        importance_samples: latents drawn per example for the likelihood bounds. condition: a row for each example.
        """
        x, scorer = examples_of(x, self.data[self.data.domains[0]]), self.scorer
        method = scorer.method(method)
        given = self.conditioning.rows(len(x), condition) or None
        parts = enumerate(torch.arange(len(x)).split(self.rows))
        return torch.cat([scorer.scores(x[p], method, seed, n, importance_samples, select(given, p)) for n, p in parts])

    @cached_property
    def scorer(self) -> Scorer:
        """What scores examples."""
        return Scorer(self)

    def on_device(self, condition: Condition | None) -> Condition | None:
        """`condition`, moved there."""
        return condition and {name: value.to(self.device) for name, value in condition.items()}

    def _applied(self, name: str, x: Array, condition: Mapping[str, Any] | None) -> Tensor:
        """The model's method `name` of examples."""
        method, rows = self.capability(name), examples_of(x, self.data[self.data.domains[0]])
        return self._in_batches(method, rows, self.conditioning.rows(len(rows), condition) or None)

    def _in_batches(self, function: Callable[..., Tensor], rows: Tensor, condition: Condition | None = None) -> Tensor:
        """`function` of the rows and, for models that have conditions, their condition."""
        parts = []
        with self.inference():
            for index in torch.arange(len(rows)).split(self.rows):
                given = self.model.given(self.on_device(select(condition, index)))
                parts.append(function(rows[index].to(self.device), *given).float().cpu())
        return torch.cat(parts)
