"""The contract between the training loop and every model: a step is a generator of `Update`s."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec


@dataclass
class Update:
    """A request to lower `loss` by one step of `player`'s optimizer.

    loss: scalar, mean over the batch, so that micro-batches and processes can be averaged. `ValueError` for others.
    log: scalars by name; the loop detaches, averages and fetches them. Never call `.item()` in a step.
    """

    player: str
    loss: Tensor
    log: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.loss.ndim:
            raise ValueError(f"Update of {self.player}: its loss has shape {list(self.loss.shape)}; take its mean")


@dataclass(frozen=True)
class Grid:
    """Examples [rows, columns, *shape] to be shown in the units of the data, and what they are.

    rows, columns: a name for each row from the top and each column from the left, repeated in turn if they are fewer;
    none by default. cells: of the examples, in reading order. A name may have two lines.
    """

    examples: Tensor
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    cells: Sequence[str] = ()

    @classmethod
    def of(cls, shown: "Tensor | Grid") -> "Grid":
        """Examples without names as a grid; a grid as it is."""
        return shown if isinstance(shown, Grid) else cls(shown)


CAPABILITIES = {
    "sample": "sample",
    "trajectory": "show how noise turns into samples",
    "prior": "draw latents from a prior",
    "decode": "decode",
    "encode": "encode",
    "reconstruct": "reconstruct",
    "log_weights": "bound the likelihood",
    "log_prob": "give the likelihood",
    "elbo": "estimate a bound of the likelihood",
    "denoising_error": "tell how well it denoises",
    "discriminator_score": "score examples by a discriminator",
    "statistics": "give statistics of examples",
    "classify": "classify",
    "translate": "translate",
    "complete": "complete images",
    "restore": "restore images",
}
"""Optional methods of a model; each text completes "model NAME cannot ..."."""


class GenerativeModel(nn.Module):
    """Base of all models. A subclass takes `data: DataSpec` first and its hyperparameters by keyword.

    A player is a set of parameters with its own optimizer: generator, discriminator, or "model" if there is only one.

    Rules for `training_step`, a Python generator function:
    - store nothing on `self`: the generators of all micro-batches run interleaved on one model;
    - draw noise from the batch (`batch.randn`), so that micro-batches get the noise of the full batch;
    - do not yield inside a `with`: its context would leak into the loop and the other micro-batches;
    - which players are updated may depend on `step` only, so that all micro-batches yield the same ones in one order;
    - a yield changes that player's weights: detach, or compute again, what depends on the old ones.
    Only the loop runs autocast, backward passes, clipping, optimizers and the moving average of the weights (EMA).

    Optional capabilities, each used by a command. At every interface images x [N, C, H, W] are in [0, 1] and points
    [N, D] in the data's units; noise comes from torch's global generator, on the device of the weights:
    - `sample(num_samples, condition=None, *, ...) -> x`; its keyword-only parameters are the options that the command
      line takes as `sampling.NAME`;
    - `trajectory(num_samples) -> [num_samples, steps, *shape]`, the way from noise to samples; options as of `sample`;
    - `prior(num_samples) -> z`, latents [N, L] to decode, standard normal: what else a model draws, such as classes of
      its own, `decode` makes of them, or `sample` draws without a prior; `decode(z) -> x`;
    - `encode(x) -> z` [N, L], `reconstruct(x) -> x`, equal to `decode(encode(x))`;
    - `log_weights(x, num_samples) -> [num_samples, N]`, log p(x, z) - log q(z | x) in nats for z ~ q(z | x);
      `log_prob(x) -> [N]` if the likelihood is exact; `elbo(x) -> [N]`, an unbiased estimate of a bound;
      `bits_per_dim(nats)` where the data have levels; `denoising_error(x) -> [N]`;
    - `discriminator_score(x) -> [N]`, larger for examples that look more like the data; `decision_boundary`, the score
      between "real" and "generated", or None if there is none (0 for a model without this attribute);
    - `statistics(x) -> [N, S]`, numbers that are unusual for outliers, without noise;
    - `classify(x) -> [N, K]`, log-probabilities, up to a constant, of classes that it tells apart;
    - `translate(x, to) -> x`, to the data's other domain;
    - `restore(y, operator) -> x`, images that a `genlab.diffusion.operators.Operator` makes y of; options as `sample`;
    - `complete(x, rows) -> x` keeps the first rows of images and draws the others; options as of `sample`.
    A model with `conditions` takes them as a last positional parameter `condition` of all but `prior` and `translate`:
    a `Condition`, tensors by field name with one row for each of the N examples; what cannot do without one asks for
    `self.needed(condition)`.

    Outside training, networks that are children of the model are computed in portions of their rows, so that a large
    batch takes little memory (`genlab.system.portions`); one whose rows depend on each other is computed at once.

    A model may hold `example_weights`, a persistent buffer [data.num_examples]: at the start of each epoch, training
    examples are drawn in proportion to it. Batches then have the field `index`, so that a step can update it.
    """

    averaged: ClassVar[tuple[str, ...]] = ()
    """Child modules with a moving average of their weights (EMA), which is used everywhere except in training, if the
    recipe sets `trainer.ema`."""

    kinds: ClassVar[frozenset[str]] = frozenset({"image"})
    """Kinds of x (or of a and b) that it can model."""

    requires: ClassVar[frozenset[str]] = frozenset({"x"})
    """What training needs: fields of a batch, and "pairs" if a and b must belong together; compared with
    `DataSpec.provides` before training."""

    reads: ClassVar[frozenset[str]] = frozenset()
    """Further fields that training uses where the data have them: `labelled`, of `dataset.num_labels`."""

    conditions: tuple[str, ...] = ()
    """Fields that sampling, encoding and scoring are conditioned on. One that is not in `requires` is optional: a model
    built for data without it is not conditioned on it."""

    targets: ClassVar[tuple[str, ...]] = ("a", "b")
    """Domains that `translate` leads to."""

    sequential: tuple[str, ...] = ()
    """Capabilities that go from entry to entry of an example, too many steps for an exported graph."""

    slow: tuple[str, ...] = ()
    """Capabilities that take minutes for a thousand examples: what needs them is shown or measured only if it is asked
    for."""

    noisy: tuple[str, ...] = ()
    """Capabilities that draw noise for the examples they are given, where other models need none: `log_prob` with noise
    added to grey levels. What is measured by them depends on a seed."""

    pack: int = 1
    """Examples of a batch that a step reads as one, so that batches are multiples of it."""

    metrics: ClassVar[dict[str, str]] = {}
    """Metrics of `evaluate` that rank models, with direction "min" or "max"; the first one measured picks the best
    checkpoint. A GAN, whose losses rank nothing, can measure `genlab.metrics.sliced_wasserstein`."""

    def __init__(self, data: DataSpec):
        super().__init__()
        self.data = data
        self.conditions = tuple(name for name in type(self).conditions if name in data)

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Source and target of each direction that `translate` leads in."""
        return [(domain, other) for domain, other in (("a", "b"), ("b", "a")) if other in self.targets]

    def check_target(self, to: str) -> None:
        """`ValueError` unless `translate` leads to the domain `to`."""
        if to not in self.targets:
            known = " and ".join(self.targets)
            raise ValueError(f"to={to}: this model translates to {known}; give to={self.targets[-1]}")

    def latent_name(self, latent: int) -> str:
        """What an entry of z means, "" if nothing that is known."""
        return ""

    def condition(self, batch: Batch) -> Condition | None:
        """The condition in a batch; None for a model without conditions."""
        return batch.condition(self.conditions) if self.conditions else None

    def given(self, condition: Condition | None) -> tuple[Condition | None] | tuple[()]:
        """`condition` as the last argument of a capability; nothing for a model without conditions, which need not
        have that parameter."""
        return (condition,) if self.conditions else ()

    def needed(self, condition: Condition | None) -> Condition:
        """`condition`, where a capability cannot do without. `ValueError` if it, or one of its fields, is missing."""
        found = condition or {}
        for name in self.conditions:
            if name not in found:
                known = ", ".join(self.conditions)
                raise ValueError(f"this model is conditioned on {known}; give it, as in condition.{name}=VALUE")
        return found

    def players(self) -> dict[str, nn.Module]:
        """Modules by player name; each player has its own optimizer. Every weight that is trained belongs to one."""
        return {"model": self}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        """Yield the updates of one step, in order."""
        raise NotImplementedError

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars on a validation batch (mean over the batch), with averaged weights and without gradients."""
        return {}

    def preview(self, batch: Batch) -> Mapping[str, Tensor | Grid]:
        """Previews by name: examples [rows, columns, *shape] in the units of x, or a `Grid` that names their rows and
        columns. `batch` holds the first validation examples, at most 64 images or 2,500 points; the noise comes from
        it, so it is the same at every step."""
        return {}

    if TYPE_CHECKING:  # a model defines the capabilities that it has; callers check with `hasattr`
        sample: Callable[..., Tensor]

        trajectory: Callable[..., Tensor]

        def prior(self, num_samples: int) -> Tensor: ...

        decode: Callable[..., Tensor]
        encode: Callable[..., Tensor]
        reconstruct: Callable[..., Tensor]
        log_weights: Callable[..., Tensor]
        log_prob: Callable[..., Tensor]
        elbo: Callable[..., Tensor]
        denoising_error: Callable[..., Tensor]
        discriminator_score: Callable[..., Tensor]
        statistics: Callable[..., Tensor]
        classify: Callable[..., Tensor]

        def bits_per_dim(self, nats: Tensor) -> Tensor: ...

        def translate(self, x: Tensor, to: str) -> Tensor: ...

        complete: Callable[..., Tensor]
        restore: Callable[..., Tensor]
