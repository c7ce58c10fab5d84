"""The contract between the training loop and every model: a step is a generator of `Update`s."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from genlab.contract.data import Batch, DataSpec


@dataclass
class Update:
    """A request to lower `loss` by one step of `player`'s optimizer.

    loss: scalar, mean over the batch, so that micro-batches and processes can be averaged.
    log: scalars by name; the loop detaches, averages and fetches them. Never call `.item()` in a step.
    """

    player: str
    loss: Tensor
    log: dict[str, Tensor] = field(default_factory=dict)


CAPABILITIES = {
    "sample": "sample",
    "prior": "draw latents from a prior",
    "decode": "decode",
    "encode": "encode",
    "reconstruct": "reconstruct",
    "log_weights": "bound the likelihood",
    "log_prob": "give the likelihood",
    "discriminator_score": "score images by a discriminator",
    "translate": "translate",
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

    Optional capabilities, each used by a command. Images x [N, C, H, W] are in [0, 1] at every interface, and noise
    comes from torch's global generator:
    - `sample(num_samples, label=None) -> x`;
    - `prior(num_samples, truncation=None) -> z`, latents [N, L] to decode; `decode(z) -> x`, or `decode(z, label)` if
      the model requires labels;
    - `encode(x) -> z` [N, L], `reconstruct(x) -> x`, equal to `decode(encode(x))`;
    - `log_weights(x, num_samples) -> [num_samples, N]`, log p(x, z) - log q(z | x) in nats for z ~ q(z | x), and
      `bits_per_dim(nats)`; `log_prob(x) -> [N]` if the likelihood is exact;
    - `discriminator_score(x) -> [N]`, larger for images that look more like the data;
    - `translate(x, to) -> x`, to the data's other domain.
    """

    averaged: ClassVar[tuple[str, ...]] = ()
    """Child modules with a moving average of their weights (EMA), which is used everywhere except in training."""

    requires: ClassVar[frozenset[str]] = frozenset({"image"})
    """Required fields of a batch; compared with `DataSpec.provides` before training."""

    metrics: ClassVar[dict[str, str]] = {}
    """Metrics of `evaluate` that rank models, with direction "min" or "max"; the first one measured picks the best
    checkpoint."""

    def __init__(self, data: DataSpec):
        super().__init__()
        self.data = data

    def players(self) -> dict[str, nn.Module]:
        """Modules by player name; each player has its own optimizer."""
        return {"model": self}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        """Yield the updates of one step, in order."""
        raise NotImplementedError

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars on a validation batch (mean over the batch), with averaged weights and without gradients."""
        return {}

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Preview grids by name, [rows, columns, C, H, W] each, in [0, 1]. The noise comes from `batch`, so it is the
        same at every step."""
        return {}

    if TYPE_CHECKING:  # a model defines the capabilities that it has; callers check with `hasattr`

        def sample(self, num_samples: int, label: Tensor | None = None) -> Tensor: ...

        def prior(self, num_samples: int, truncation: float | None = None) -> Tensor: ...

        decode: Callable[..., Tensor]

        def encode(self, x: Tensor) -> Tensor: ...

        def reconstruct(self, x: Tensor) -> Tensor: ...

        def log_weights(self, x: Tensor, num_samples: int) -> Tensor: ...

        def log_prob(self, x: Tensor) -> Tensor: ...

        def bits_per_dim(self, nats: Tensor) -> Tensor: ...

        def discriminator_score(self, x: Tensor) -> Tensor: ...

        def translate(self, x: Tensor, to: str) -> Tensor: ...
