"""What models with an exact likelihood share, and what flows share: f maps x to z, which is N(0, I) under the model.

log p(x) = log N(f(x); 0, I) + log |det df/dx|. Of images, x are grey levels with noise, and log p is a bound on the
log-probability of the image, in nats, so that it compares with that of models of discrete values.
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.kinds import kind_of, levels_of
from genlab.models.latents import grid_of_samples, standard_normal
from genlab.networks.condition import ConditionFeatures
from genlab.networks.coordinates import Coordinates
from genlab.networks.dequantised import Dequantised, VariationalNoise

DequantisationName = Literal["uniform", "variational"]


class ExactLikelihood(GenerativeModel):
    """p(x) or, if `conditional` and the data have labels, p(x | label)."""

    conditions: tuple[str, ...] = ("label",)
    metrics = {"log_likelihood": "max", "bits_per_dim": "min"}

    def __init__(self, data: DataSpec, conditional: bool):
        super().__init__(data)
        if not conditional:
            self.conditions = ()
        self.size, self.levels = math.prod(data.shape), levels_of(data["x"])
        self.features = ConditionFeatures(data, self.conditions)

    def told(self, condition: Condition | None, dtype: torch.dtype) -> Tensor | None:
        """What networks are told of the condition, [N, F]; None without conditions."""
        return self.features(self.needed(condition)).to(dtype) if self.conditions else None

    def measured(self, batch: Batch) -> Tensor:
        """log p(x) [N] in nats of a batch, with its noise."""
        raise NotImplementedError

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """-nats / (D log 2), of data whose entries have discrete values."""
        return -nats / (self.size * math.log(2))

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        nats = self.measured(batch).mean()
        yield Update("model", -nats, {"log_likelihood": nats})

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """log_likelihood in nats and, of discrete values, bits_per_dim."""
        nats = self.measured(batch).mean()
        return {"log_likelihood": nats} | ({"bits_per_dim": self.bits_per_dim(nats)} if self.levels else {})


def check_temperature(temperature: float) -> None:
    """`ValueError` unless it is above 0."""
    if temperature <= 0:
        raise ValueError(f"sampling.temperature={temperature}: must be above 0, as in sampling.temperature=0.9")


class Flow(ExactLikelihood):
    """A subclass has f on coordinates y of x: logits of images, standardized points. Latents z are [N, D].

    dequantisation: the noise of grey levels, "uniform" or "variational", which is learned for a tighter bound. margin,
    scale: of logits, see `Dequantised`.
    """

    averaged: ClassVar[tuple[str, ...]] = ("noise",)

    def __init__(
        self, data: DataSpec, conditional: bool, dequantisation: DequantisationName, margin: float, scale: float
    ):
        super().__init__(data, conditional)
        self.variational = dequantisation == "variational"
        if self.variational and not self.levels:
            raise ValueError(
                "model.dequantisation=variational: points have no grey levels; choose model.dequantisation=uniform"
            )
        self.pixels, self.unit = Dequantised(self.levels, margin, scale), Coordinates(data["x"], "unit")
        self.noise = VariationalNoise(data.shape) if self.variational else nn.Identity()
        self.noisy = ("log_prob",) if self.levels else ()

    def to_noise(self, y: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """z [N, D] and log |det dz/dy| [N] for y [N, *shape]; features: of the condition, [N, F]."""
        raise NotImplementedError

    def from_noise(self, z: Tensor, features: Tensor | None) -> Tensor:
        """y [N, *shape] of z [N, D]."""
        raise NotImplementedError

    def measured(self, batch: Batch) -> Tensor:
        noise = batch.rand(*self.data.shape) if self.levels else None
        return self.nats(batch["x"], self.condition(batch), noise)

    def nats(self, x: Tensor, condition: Condition | None, noise: Tensor | None) -> Tensor:
        """log p(x) [N] in nats. noise: uniform in [0, 1), shaped as x; only images need it."""
        log_q: Tensor | float = 0.0
        if self.variational:
            found = self.noise(noise, x)
            noise, log_q = found[:, :-1].view_as(x), found[:, -1]
        y, volume = self.inward(x, noise)
        z, log_det = self.to_noise(y, self.told(condition, y.dtype))
        return log_det + volume - log_q - (z.square() + math.log(2 * math.pi)).sum(1) / 2

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x) [N] in nats; of images a bound, with noise by torch's global generator."""
        return self.nats(x, condition, torch.rand_like(x))

    def inward(self, x: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """y [N, *shape], and what is to be added to log p(y) for log p(x), [N] or a number. u: noise of images."""
        if not self.levels or u is None:
            return self.unit.inward(x), -self.unit.log_scale
        return self.pixels.inward(x, u)

    def prior(self, num_samples: int) -> Tensor:
        """z ~ N(0, I), [num_samples, D], by torch's global generator."""
        return standard_normal(num_samples, self.size, self)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """z [N, D] of examples [N, *shape]; of images, of the middle of each pixel's grey level."""
        y, _ = self.inward(x, torch.full_like(x, 0.5))
        return self.to_noise(y, self.told(condition, y.dtype))[0]

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Examples [N, *shape] of z [N, D]; of images, the middle of a grey level becomes the value of that level, and
        what lies between two levels stays between them, unless the data have fewer levels than the files of images."""
        y = self.from_noise(z, self.told(condition, z.dtype))
        if not self.levels:
            return self.unit.outward(y)
        x = self.pixels.outward(y)
        return self.pixels.rounded(x) if self.levels < kind_of(self.data["x"]).levels else x

    def reconstruct(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """`decode(encode(x))`: x but for rounding, if f can be inverted as it should."""
        return self.decode(self.encode(x, condition), condition)

    def sample(self, num_samples: int, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """Examples [num_samples, *shape] for z drawn from the prior by torch's global generator.

        temperature: standard deviation of z; below 1 for more probable, smoother examples; above 0.
        """
        check_temperature(temperature)
        return self.decode(temperature * self.prior(num_samples), condition)

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """samples: see `grid_of_samples`."""
        return {"samples": grid_of_samples(self, batch.randn(self.size), self.decode)}
