"""Autoregressive models: the exact likelihood of an image as a product over its entries, each given those before it.

log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1}), and p(x_i | ...) is given by one network for all i.

References:
- Germain, Gregor, Murray, Larochelle 2015, MADE, https://arxiv.org/abs/1502.03509
- van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
- van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, https://arxiv.org/abs/1606.05328
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import Grid, Update
from genlab.losses.discrete import Discrete, DiscreteName, make_discrete
from genlab.models.exact_likelihood import ExactLikelihood, check_temperature
from genlab.models.latents import grid_of_samples
from genlab.networks.autoregressive import AutoregressiveNet
from genlab.networks.network import Network


class Autoregressive(ExactLikelihood):
    """p(x) or, if `conditional` and the data have labels, p(x | label); images x [N, C, H, W] of evenly spaced values.

    likelihood: of an entry, "bernoulli" (binary images), "categorical" (a logit for each value) or "logistics" (a
    mixture of `mixtures` discretised logistic distributions).
    """

    averaged: ClassVar[tuple[str, ...]] = ("network",)

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        likelihood: DiscreteName = "bernoulli",
        mixtures: int = 10,
        conditional: bool = False,
    ):
        super().__init__(data, conditional)
        if likelihood == "bernoulli" and self.levels != 2:
            raise ValueError(
                "model.likelihood=bernoulli: needs images of two values; choose dataset.binarize=dynamic, or "
                "model.likelihood=categorical"
            )
        self.likelihood = make_discrete(likelihood, self.levels, mixtures)
        self.network = network.autoregressive(data.shape, self.likelihood.outputs, self.features.size)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        nats = self.nats(batch["x"], self.condition(batch), step % self.network.orderings).mean()
        yield Update("model", -nats, {"log_likelihood": nats})

    def nats(self, x: Tensor, condition: Condition | None, ordering: int = 0) -> Tensor:
        """log p(x) [N] in nats, with the entries in the order `ordering` of the network."""
        several = {"ordering": ordering} if self.network.orderings > 1 else {}
        x = self.likelihood.rounded(x)
        raw = self.network(2 * x - 1, self.told(condition, x.dtype), **several)
        return self.likelihood.log_prob(raw, x).flatten(1).sum(1)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x) [N] in nats. Of a network with several orders, the mean of the probabilities of the whole image."""
        nats = [self.nats(x, condition, number) for number in range(self.network.orderings)]
        return torch.stack(nats).logsumexp(0) - math.log(len(nats))

    def sample(self, num_samples: int, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """Images [num_samples, C, H, W], drawn entry after entry by torch's global generator.

        temperature: divides the logits; below 1 for more probable images; above 0.
        """
        like = next(self.network.parameters())
        noise = torch.rand(num_samples, self.size, 2, device=like.device, dtype=like.dtype)
        return self.drawn(noise, condition, temperature)

    def complete(self, x: Tensor, rows: int, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """Images [N, C, H, W] with the first `rows` rows of `x`, rounded to the values that it knows; the others are
        drawn, as by `sample`."""
        if self.network.shuffled:
            raise ValueError("network.shuffled=true: its random order cannot keep rows; train without it")
        noise = torch.rand(len(x), self.size, 2, device=x.device, dtype=x.dtype)
        return self.drawn(noise, condition, temperature, self.likelihood.rounded(x[:, :, :rows]))

    def drawn(
        self,
        noise: Tensor,
        condition: Condition | None = None,
        temperature: float = 1.0,
        above: Tensor | None = None,
    ) -> Tensor:
        """Images [N, C, H, W] from uniform noise [N, D, 2]. above: their first rows, [N, C, rows, W]."""
        check_temperature(temperature)
        return fill_in(self.network, self.likelihood, noise, self.told(condition, noise.dtype), temperature, above)

    def measured(self, batch: Batch) -> Tensor:
        return self.log_prob(batch["x"], self.condition(batch))

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """samples: see `grid_of_samples`."""
        return {"samples": grid_of_samples(self, batch.rand(self.size, 2), self.drawn)}


def fill_in(
    network: AutoregressiveNet,
    likelihood: Discrete,
    noise: Tensor,
    features: Tensor | None = None,
    temperature: float = 1.0,
    above: Tensor | None = None,
) -> Tensor:
    """Examples [N, *network.shape], drawn entry after entry from uniform noise [N, D, 2]; features: what the network is
    told, [N, F]. above: the first rows of images, [N, C, rows, W]."""
    x = noise.new_zeros(len(noise), *network.shape)
    known = 0 if above is None else above[0].numel()
    if above is not None:
        x[:, :, : above.shape[2]] = above
    seen, flat = torch.zeros_like(x), x.flatten(1)
    entry = network.entries(seen, features)
    for number, place in enumerate(network.order().tolist()):
        raw = entry(number)  # of known entries as well: the network remembers what it has seen
        if number >= known:
            flat[:, place] = likelihood.draw(raw.to(noise), noise[:, number], temperature)
        seen.flatten(1)[:, place] = 2 * flat[:, place] - 1
    return x
