"""Diffusion models and flow matching: a network learns to undo noise, and samples come from noise in many small steps.

Path, prediction, weights, times and sampler combine freely; `genlab.diffusion` has them with their references. Samplers
are chosen when sampling. Labels are dropped at times, so that one network is conditioned and unconditioned at once:
guidance g goes g times as far as the condition leads, 1 is the conditional model, 0 the unconditional one.

References:
- Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239
- Lipman et al. 2023, Flow Matching for Generative Modeling, https://arxiv.org/abs/2210.02747
- Esser et al. 2024, Scaling Rectified Flow Transformers, https://arxiv.org/abs/2403.03206 (logit-normal times)
- Kingma, Salimans, Poole, Ho 2021, Variational Diffusion Models, https://arxiv.org/abs/2107.00630 (stratified times)
- Ho, Salimans 2022, Classifier-Free Diffusion Guidance, https://arxiv.org/abs/2207.12598
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor

from genlab.contract.data import Batch, Condition, DataSpec, select
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.diffusion.likelihood import denoising_error, equation_log_prob, variational_bound
from genlab.diffusion.operators import Operator
from genlab.diffusion.paths import PathName, PredictionName, make_path, over
from genlab.diffusion.restoration import RestorationName, restored
from genlab.diffusion.samplers import Denoiser, SamplerName, states, times
from genlab.diffusion.weights import TimesName, WeightingName, drawn_times, weight
from genlab.media.kinds import levels_of
from genlab.models.latents import grid_of_samples, standard_normal
from genlab.networks.condition import ConditionFeatures
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import check_least
from genlab.networks.network import Network
from genlab.system.portions import rows_at_once
from genlab.system.progress import followed

_COPIES = 80
"""Numbers that a network with gradients holds for each of an example, roughly."""


class Diffusion(GenerativeModel):
    """x_t = alpha(t) x + sigma(t) eps in coordinates where images are in [-1, 1] and points standardized.

    network: its denoiser predicts `prediction` from x_t. path: alpha and sigma, see `genlab.diffusion.paths`.
    weighting: of the squared error. times: distribution of t in training.
    conditional: condition on the label, if the data have one. label_dropout: how often it is left out in training.
    sampler, steps, guidance: those of previews and validation, and of samples where nothing else is asked for.
    """

    averaged = ("network",)
    kinds = frozenset({"image", "points"})
    conditions: tuple[str, ...] = ("label",)
    metrics = {"denoising_error": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        path: PathName = "rectified",
        prediction: PredictionName = "velocity",
        weighting: WeightingName = "simple",
        times: TimesName = "logit-normal",
        conditional: bool = True,
        label_dropout: float = 0.1,
        sampler: SamplerName = "heun",
        steps: int = 12,
        guidance: float = 1.0,
    ):
        super().__init__(data)
        check_least(1, steps=steps)
        if not 0 <= label_dropout < 1:
            raise ValueError(f"model.label_dropout={label_dropout}: must lie in [0, 1)")
        if not conditional:
            self.conditions = ()
        self.size, self.path = math.prod(data.shape), make_path(path)
        self.prediction, self.weighting, self.times = prediction, weighting, times
        self.label_dropout, self.sampler, self.steps, self.guidance = label_dropout, sampler, steps, guidance
        self.signed, self.features = Coordinates(data["x"], "signed"), ConditionFeatures(data, self.conditions)
        told = self.features.size + 1 if self.conditions else 0  # and whether there is a condition
        self.network = network.denoiser(data.shape, told)
        self.levels = levels_of(data["x"])
        self.noisy = ("denoising_error", "elbo", *(("log_prob",) if self.levels else ()))
        self.slow = ("log_prob",) if self.levels else ()

    def told(self, condition: Condition, x: Tensor) -> Tensor:
        """What the network is told of a condition, [N, F]; zeros stand for none."""
        found = self.features(self.needed(condition)).to(x.dtype)
        return torch.cat([found, torch.ones_like(found[:, :1])], 1)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        condition = self.condition(batch)
        features = None
        if condition is not None:
            kept = batch.rand(1) >= self.label_dropout
            features = self.told(condition, batch["x"]) * kept
        yield Update("model", self.error(batch, features))

    def error(self, batch: Batch, features: Tensor | None) -> Tensor:
        """Mean squared error of the prediction for a batch, at stratified times: each row has a share of its own."""
        x0, eps = self.signed.inward(batch["x"]), batch.randn(*self.data.shape)
        row = batch.offset + torch.arange(batch.size, device=x0.device)
        u = (row + batch.rand()) / batch.total
        t = drawn_times(self.times, u.clamp(1e-5, 1 - 1e-5))
        place = self.path.at(over(t, x0))
        predicted = self.network(place.mix(x0, eps), t, features).to(x0.dtype)
        error = (predicted - place.target(self.prediction, x0, eps)).square()
        return (weight(self.weighting, place, self.prediction) * error).mean()

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """denoising_error: as in training, with the condition, if there is one."""
        condition = self.condition(batch)
        return {"denoising_error": self.error(batch, None if condition is None else self.told(condition, batch["x"]))}

    def denoiser(self, condition: Condition | None, guidance: float, like: Tensor) -> Denoiser:
        """x_0 and eps of x_t [N, ...] under a condition; see `guidance` above."""
        features = self.told(condition, like) if self.conditions and condition is not None and guidance else None

        def denoise(x: Tensor, t: float | Tensor) -> tuple[Tensor, Tensor]:
            times = t if isinstance(t, Tensor) else x.new_full((x.shape[0],), t)
            if features is None:
                nothing = x.new_zeros(x.shape[0], self.features.size + 1) if self.conditions else None
                predicted = self.network(x, times, nothing)
            elif guidance == 1:
                predicted = self.network(x, times, features)
            else:
                both = torch.cat([features, torch.zeros_like(features)])
                twice = self.network(x.repeat(2, *[1] * (x.ndim - 1)), times.repeat(2), both)
                told, untold = twice.unflatten(0, (2, -1))  # chunk would fix the number of rows in an export
                predicted = untold + guidance * (told - untold)
            return self.solved(x, t, predicted.to(x.dtype))

        return denoise

    def solved(self, x: Tensor, t: float | Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """x_0 and eps of x at time t. Near t = 1 of a discrete path an error of the noise is a hundred times larger in
        x_0, which is therefore held in the range of images, as by Ho et al. 2020."""
        place = self.path.at(over(t, x) if isinstance(t, Tensor) else t)
        x0, eps = place.solve(self.prediction, x, predicted)
        if self.path.discrete and self.signed.bounds is not None and (isinstance(t, Tensor) or t > 0):
            x0 = x0.clamp(-1, 1)
            eps = (x - place.alpha * x0) / place.sigma
        return x0, eps

    def prior(self, num_samples: int) -> Tensor:
        """z ~ N(0, I), [num_samples, D], by torch's global generator."""
        return standard_normal(num_samples, self.size, self)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Examples [N, *shape] of noise z [N, D], by the model's sampler, without further noise."""
        sampler = "ddim" if self.sampler == "ddpm" else self.sampler
        return self.drawn(z, condition, sampler, self.steps, 0.0, self.guidance)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The noise [N, D] that `decode` makes x [N, *shape] of, but for the error of the steps; without guidance."""
        y = self.signed.inward(x)
        grid = times(self.steps, backward=True)
        *_, z = states("heun", self.path, self.denoiser(condition, 1.0, y), y, grid)
        return z.flatten(1)

    def sample(
        self,
        num_samples: int,
        condition: Condition | None = None,
        *,
        sampler: SamplerName | None = None,
        steps: int | None = None,
        eta: float = 0.0,
        guidance: float | None = None,
    ) -> Tensor:
        """Examples [num_samples, *shape] from noise by torch's global generator. None: the model's own.

        sampler: ddpm, ddim, euler, heun or dpm-solver++. steps: from noise to data. eta: of ddim, noise added again at
        each step, from 0 for none to 1 for as much as ddpm. guidance: see above.
        """
        sampler, steps = sampler or self.sampler, self.steps if steps is None else steps
        if sampler not in get_args(SamplerName):
            raise ValueError(f"sampling.sampler={sampler}: choose from {', '.join(get_args(SamplerName))}")
        check_least(1, "sampling", steps=steps)
        check_least(0, "sampling", eta=eta)
        guidance = self.guidance if guidance is None else guidance
        return self.drawn(self.prior(num_samples), condition, sampler, steps, eta, guidance)

    def drawn(
        self, z: Tensor, condition: Condition | None, sampler: SamplerName, steps: int, eta: float, guidance: float
    ) -> Tensor:
        """Examples [N, *shape] of noise z [N, D]."""
        x = z.view(-1, *self.data.shape)
        denoise = self.denoiser(condition, guidance, x)
        *_, y = states(sampler, self.path, denoise, x, times(steps), eta)
        return self.signed.outward(y if self.signed.bounds is None else y.clamp(-1, 1))

    def restore(
        self,
        y: Tensor,
        operator: Operator,
        condition: Condition | None = None,
        *,
        method: RestorationName = "projection",
        steps: int = 100,
        eta: float = 0.85,
        guidance: float | None = None,
    ) -> Tensor:
        """Images [N, *shape] in [0, 1] that a linear operator makes y of, from noise by torch's global generator.

        method: projection and repaint give y exactly, dps about so. eta: of projection, as of `sample`. guidance: None
        for the model's own, without effect where there is no condition.
        """
        check_least(1, "sampling", steps=steps)
        x = self.prior(len(y)).view(-1, *self.data.shape)
        denoise = self.denoiser(condition, self.guidance if guidance is None else guidance, x)
        signed = 2 * y - operator.apply(torch.ones_like(x))
        shown = followed(pairwise(times(steps)), "restoring, step", steps)
        return self.signed.outward(restored(method, self.path, denoise, signed, operator, x, shown, eta))

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
