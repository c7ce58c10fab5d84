"""The contract between the training loop and every model: a step is a generator of `Update`s."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from genlab.contract.data import Batch, DataSpec


@dataclass
class Update:
    """A model's request: lower `loss` by one step of `player`'s optimizer.

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
    "log_prob": "tell the likelihood",
    "discriminator_score": "judge images",
    "translate": "translate",
}
"""Names of the optional methods of a model that commands ask for, and what they let a model do."""


class GenerativeModel(nn.Module):
    """Base of all models. A subclass takes `data: DataSpec` first and its hyperparameters by keyword.

    Rules for `training_step`: keep tensors in locals (micro-batches share `self`); draw noise from the batch
    (`batch.randn`), so that slices of a batch see the noise of the whole; never yield inside a `with`; take turns
    by `step`, not by data; after a yield, detach what was built with that player's old weights. The loop alone runs
    autocast, backward, clipping, optimizers and the moving average.

    Optional capabilities, each what a command asks for; images x [N, C, H, W] are in [0, 1] at every boundary:
    - `sample(num_samples, label=None) -> x`, drawn by torch's global generator;
    - `prior(num_samples, truncation=None) -> z`, latents [N, L] to decode; `decode(z) -> x`, `decode(z, label)` where
      the model requires labels;
    - `encode(x) -> z` [N, L], `reconstruct(x) -> x`, the same as decoding the codes;
    - `log_weights(x, num_samples) -> [num_samples, N]`, log p(x, z) - log q(z | x) in nats for z ~ q(z | x), and
      `bits_per_dim(nats)`; `log_prob(x) -> [N]` where the likelihood is exact;
    - `discriminator_score(x) -> [N]`, a critic's opinion, larger for what is more like the data;
    - `translate(x, to) -> x`, to the other of the data's domains.
    """

    averaged: ClassVar[tuple[str, ...]] = ()
    """Names of the children that sampling reads through the exponential moving average."""

    requires: ClassVar[frozenset[str]] = frozenset({"image"})
    """Fields that a batch must hold; compared with `DataSpec.provides` before training."""

    metrics: ClassVar[dict[str, str]] = {}
    """What `evaluate` returns that ranks models, each with "min" or "max"; the first chooses `best.pt`."""

    def __init__(self, data: DataSpec):
        super().__init__()
        self.data = data

    def players(self) -> dict[str, nn.Module]:
        """Modules by player's name, one optimizer each."""
        return {"model": self}

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        """Yield the updates of one step, in order."""
        raise NotImplementedError

    def step_kind(self, step: int) -> Hashable | None:
        """What tells the computation of this step from that of others: steps of one kind launch the same kernels with
        the same numbers, so that `device.cuda_graph` may replay one for another. None: every step is another."""
        return None

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars on a validation batch (mean over the batch), under the averaged weights and without gradients."""
        return {}

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Images to look at, by name, each [rows, columns, C, H, W] in [0, 1]; a fixed batch gives fixed noise."""
        return {}
