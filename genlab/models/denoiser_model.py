"""What a model can do that knows x_0 and eps of any x_t on a path from data to noise: sample, encode, restore, and give
likelihoods. `genlab.diffusion` has the mathematics, with its references.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, get_args

import torch
from torch import Tensor

from genlab.contract.data import Batch, Condition, DataSpec, select
from genlab.contract.model import GenerativeModel, Grid
from genlab.diffusion.likelihood import FIRST, denoising_error, equation_log_prob, variational_bound
from genlab.diffusion.operators import Operator
from genlab.diffusion.paths import Path
from genlab.diffusion.restoration import RestorationName, restored
from genlab.diffusion.samplers import Denoiser, SamplerName, states, times
from genlab.media.kinds import levels_of
from genlab.models.latents import grid_of_samples, standard_normal
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import check_least
from genlab.system.portions import rows_at_once
from genlab.system.progress import followed

_COPIES = 80
"""Numbers that a network with gradients holds for each of an example, roughly."""


@dataclass(frozen=True)
class Sampling:
    """See `DenoiserModel.sample`."""

    sampler: SamplerName
    steps: int
    eta: float
    guidance: float


def check_eta(node: str, eta: float) -> None:
    """`ValueError` unless the setting `eta` of `node` lies in [0, 1]."""
    if not 0 <= eta <= 1:
        raise ValueError(f"{node}.eta={eta}: must lie in [0, 1], from no noise to as much as ddpm adds")


class DenoiserModel(GenerativeModel):
    """x_t = alpha(t) x + sigma(t) eps in coordinates where images are in [-1, 1] and points standardized.

    path: alpha and sigma, see `genlab.diffusion.paths`. usual: how it samples where nothing else is asked for.
    """

    def __init__(self, data: DataSpec, path: Path, usual: Sampling):
        super().__init__(data)
        check_least(1, steps=usual.steps)
        check_eta("model", usual.eta)
        self.size, self.levels = math.prod(data.shape), levels_of(data["x"])
        self.path, self.usual, self.signed = path, usual, Coordinates(data["x"], "signed")
        self.noisy = ("denoising_error", "elbo", *(("log_prob",) if self.levels else ()))
        if usual.eta or usual.sampler == "ddpm":  # beside that of the prior
            self.noisy = (*self.noisy, "sample")
        self.slow = ("encode", "log_prob") if self.levels else ()

    def denoiser(self, condition: Condition | None, guidance: float, like: Tensor) -> Denoiser:
        """x_0 and eps of x_t [N, ...] under a condition; see `sample`. like: a tensor on the device."""
        raise NotImplementedError

    def prior(self, num_samples: int) -> Tensor:
        """z ~ N(0, I), [num_samples, D], by torch's global generator."""
        return standard_normal(num_samples, self.size, self)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Examples [N, *shape] of noise z [N, D], by the model's sampler, without further noise."""
        sampler = "ddim" if self.usual.sampler == "ddpm" else self.usual.sampler
        *_, x = self.way(z, condition, replace(self.usual, sampler=sampler, eta=0.0))
        return x

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The noise [N, D] that `decode` makes x [N, *shape] of, but for the error of the steps."""
        y = self.signed.inward(x)
        first = self.path.time(FIRST)  # not 0, where x says nothing of its noise
        grid = [first, *times(self.usual.steps, backward=True)[1:]]
        *_, z = states("heun", self.path, self.denoiser(condition, self.usual.guidance, y), y, grid)
        return z.flatten(1)

    def sample(
        self,
        num_samples: int,
        condition: Condition | None = None,
        *,
        sampler: SamplerName | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        """Examples [num_samples, *shape] from noise by torch's global generator. None: the model's own.

        sampler: ddpm, ddim, euler, heun or dpm-solver++. steps: from noise to data. eta: of ddim, euler and heun, noise
        added again at each step, from 0 for none to 1 for as much as ddpm. guidance: how far the condition leads, 1 for
        as it was learned, 0 for not at all (Ho, Salimans 2022, https://arxiv.org/abs/2207.12598).
        """
        asked = self.asked(sampler=sampler, steps=steps, eta=eta, guidance=guidance)
        *_, x = self.way(self.prior(num_samples), condition, asked, shown=True)
        return x

    def trajectory(self, num_samples: int, condition: Condition | None = None, **sampling: Any) -> Tensor:
        """The way [num_samples, steps + 1, *shape] from noise to what `sample` gives, with the options of `sample`."""
        way = self.way(self.prior(num_samples), condition, self.asked(**sampling), shown=True)
        return torch.stack(list(way), 1)

    def asked(self, **options: Any) -> Sampling:
        """How to sample by options of `sample`, with what the model does by itself in place of None."""
        found = replace(self.usual, **{name: value for name, value in options.items() if value is not None})
        if found.sampler not in get_args(SamplerName):
            raise ValueError(f"sampling.sampler={found.sampler}: choose from {', '.join(get_args(SamplerName))}")
        check_least(1, "sampling", steps=found.steps)
        check_eta("sampling", found.eta)
        return found

    def way(self, z: Tensor, condition: Condition | None, how: Sampling, shown: bool = False) -> Iterator[Tensor]:
        """Examples [N, *shape] at each time, from noise z [N, D] on. shown: with the progress of the steps."""
        x = z.view(-1, *self.data.shape)
        denoise = self.denoiser(condition, how.guidance, x)
        steps = states(how.sampler, self.path, denoise, x, times(how.steps), how.eta)
        for y in chain([x], followed(steps, "sampling, step", how.steps, shown)):
            yield self.signed.outward(y if self.signed.bounds is None else y.clamp(-1, 1))

    def restore(
        self,
        y: Tensor,
        operator: Operator,
        condition: Condition | None = None,
        *,
        method: RestorationName = "dps",
        steps: int = 50,
        eta: float = 0.85,
        guidance: float | None = None,
    ) -> Tensor:
        """Images [N, *shape] in [0, 1] that a linear operator makes y of, from noise by torch's global generator.

        eta: of projection, as of `sample`. guidance: None for the model's own, without effect without a condition.
        """
        check_least(1, "sampling", steps=steps)
        check_eta("sampling", eta)
        x = self.prior(len(y)).view(-1, *self.data.shape)
        denoise = self.denoiser(condition, self.usual.guidance if guidance is None else guidance, x)
        signed = 2 * y - operator.apply(torch.ones_like(x))
        grid = followed(pairwise(times(steps)), "restoring, step", steps)
        return self.signed.outward(restored(method, self.path, denoise, signed, operator, x, grid, steps, eta))

    def denoising_error(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Squared error [N] of the noise that is found in x [N, *shape], summed over entries, mean over 16 times; under
        the condition, if there is one, as are the two below."""
        y = self.signed.inward(x)
        return denoising_error(self.path, self.denoiser(condition, 1.0, y), y)

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Estimate [N] of a lower bound of log p(x) in nats, x [N, *shape]; of images that of their levels."""
        y = self.signed.inward(x)
        found = variational_bound(self.path, self.denoiser(condition, 1.0, y), y, self.levels)
        return found - self.signed.log_scale

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x) [N] in nats, x [N, *shape], of what the deterministic sampler gives in many steps; of images an
        estimate of a bound for their levels."""

        def part(y: Tensor, condition: Condition | None) -> Tensor:
            return equation_log_prob(self.path, self.denoiser(condition, 1.0, y), y, self.levels)

        rows = torch.arange(len(x), device=x.device).split(rows_at_once(self.data.shape, copies=_COPIES))
        with torch.autocast(x.device.type, enabled=False):
            found = [part(self.signed.inward(x[index]), select(condition, index)) for index in rows]
        return torch.cat(found) - self.signed.log_scale

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """-nats / (D log 2), of images."""
        return -nats / (self.size * math.log(2))

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """samples: see `grid_of_samples`."""
        return {"samples": grid_of_samples(self, batch.randn(self.size), self.decode)}
