"""Normalizing flows of images: an invertible network maps images to latents with a standard normal distribution.

log p(x) = log N(z; 0, I) + log |det dz/dx| is exact. The pixels of the data are whole numbers k of grey levels: with
noise u, uniform in [0, 1), the density of k + u bounds the probability of the image, log P(k) >= E_u log p(k + u). All
log-probabilities are of k + u, in nats, so that they compare with those of models of 8-bit images.

References:
- Dinh, Sohl-Dickstein, Bengio 2017, Density estimation using Real NVP, https://arxiv.org/abs/1605.08803
- Kingma and Dhariwal 2018, Glow: Generative Flow with Invertible 1x1 Convolutions, https://arxiv.org/abs/1807.03039
- Theis, van den Oord, Bethge 2016, A note on the evaluation of generative models, https://arxiv.org/abs/1511.01844, for
  the bound
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from genlab.contract.data import Batch, Condition, DataSpec, select
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.kinds import levels_of
from genlab.models.latents import one_class_a_column, standard_normal
from genlab.networks.condition import ConditionFeatures
from genlab.networks.invertible import MixingName, MultiScale
from genlab.networks.layers import check_least

_MARGIN = 1e-5  # of [0, 1], cut off at both ends before the logit
_DEVIATION = 4.0  # about that of logits of pixels: networks begin near 1
_INVERTED = 8  # examples of a batch whose inverse a validation checks
_STEPS = 8  # of an interpolation


class ImageFlow(GenerativeModel):
    """p(x) or, if `conditional` and the data have labels, p(x | label) of images x [N, C, H, W]; latents z [N, D].

    levels: of the multi-scale network; both sides must be multiples of 2^levels. layers: couplings of a level.
    channels: of their networks. mixing: "conv" (Glow) or "masks" (Real NVP), see `MultiScale`.
    """

    averaged: ClassVar[tuple[str, ...]] = ("network",)
    conditions: tuple[str, ...] = ("label",)
    metrics = {"log_likelihood": "max", "bits_per_dim": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        levels: int = 2,
        layers: int = 8,
        channels: int = 48,
        mixing: MixingName = "conv",
        conditional: bool = False,
    ):
        super().__init__(data)
        check_least(1, levels=levels, layers=layers, channels=channels)
        _check_sides(data.shape, levels)
        if not conditional:
            self.conditions = ()
        self.pixel_levels, self.size = levels_of(data["x"]), math.prod(data.shape)
        self.features = ConditionFeatures(data, self.conditions)
        self.network = MultiScale(data.shape, levels, layers, channels, mixing, self.features.size)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        nats = self.nats(batch["x"], self.condition(batch), batch.rand(*self.data.shape)).mean()
        yield Update("model", self.bits_per_dim(nats), {"log_likelihood": nats})

    def nats(self, x: Tensor, condition: Condition | None, noise: Tensor) -> Tensor:
        """log p [N] in nats of x [N, C, H, W] in grey levels, with uniform noise [N, C, H, W] added to each."""
        y, log_det = self.logits(x, noise)
        out = self.network(y, self._told(condition, y.dtype))
        z, log_det = out[:, :-1], log_det + out[:, -1]
        return log_det - 0.5 * (z.square().sum(1) + self.size * math.log(2 * math.pi))

    def logits(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What the network reads, y = logit((k + noise) / levels) / deviation, and log |det dy/dk| [N]."""
        number = (x * (self.pixel_levels - 1)).round()
        # w = (number + noise) / levels in [0, 1), and 1 - w, which is not rounded to 0
        parts = number + noise, self.pixel_levels - 1 - number + (1 - noise)
        log_p, log_q = ((_MARGIN + (1 - 2 * _MARGIN) * part / self.pixel_levels).log() for part in parts)
        # d logit(p) / dp = 1 / (p (1 - p))
        constant = math.log((1 - 2 * _MARGIN) / (self.pixel_levels * _DEVIATION))
        return (log_p - log_q) / _DEVIATION, (constant - log_p - log_q).flatten(1).sum(1)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x) [N] in nats: a bound on that of the image in grey levels, with noise by torch's global generator."""
        return self.nats(x, condition, torch.rand_like(x))

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """-nats / (D log 2)."""
        return -nats / (self.size * math.log(2))

    def prior(self, num_samples: int) -> Tensor:
        """z ~ N(0, I), [num_samples, D], by torch's global generator."""
        return standard_normal(num_samples, self.size, self.network)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Latents [N, D] of all levels, the finest first; of the middle of each pixel's grey level."""
        y, _ = self.logits(x, torch.full_like(x, 0.5))
        return self.network(y, self._told(condition, y.dtype))[:, :-1]

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Images [N, C, H, W] of latents [N, D]; the middle of a grey level becomes the value of that level."""
        y = _DEVIATION * self.network(z, self._told(condition, z.dtype), inverse=True)
        w = (y.sigmoid() - _MARGIN) / (1 - 2 * _MARGIN)
        return ((self.pixel_levels * w - 0.5) / (self.pixel_levels - 1)).clamp(0, 1)

    def reconstruct(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """x, but for rounding."""
        return self.decode(self.encode(x, condition), condition)

    def sample(self, num_samples: int, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """Images [num_samples, C, H, W].

        temperature: standard deviation of the latents; below 1 for more probable, smoother images; above 0.
        """
        if temperature <= 0:
            raise ValueError(f"sampling.temperature={temperature}: must be above 0, as in sampling.temperature=0.7")
        return self.decode(temperature * self.prior(num_samples), condition)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """log_likelihood in nats, bits_per_dim, and inverse_error, the largest of some pixels in [0, 1]."""
        x, condition = batch["x"], self.condition(batch)
        nats = self.nats(x, condition, batch.rand(*self.data.shape)).mean()
        some = x[:_INVERTED]
        error = (self.reconstruct(some, select(condition, slice(_INVERTED))) - some).abs().max()
        return {"log_likelihood": nats, "bits_per_dim": self.bits_per_dim(nats), "inverse_error": error}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Samples: a square grid, or one class per column; and interpolations between examples, one a row."""
        z, side = batch.randn(self.size), max(1, int(batch.size**0.5))
        samples = (
            one_class_a_column(self.data, z, self.decode)
            if self.conditions
            else Grid(self.decode(z[: side * side]).unflatten(0, (side, side)))
        )
        return {"samples": samples, "interpolations": self._interpolations(batch)}

    def _interpolations(self, batch: Batch) -> Grid:
        """From an example to the next one, under the condition of the first: cos(t) a + sin(t) b is
        as normal as a and b."""
        x, condition = batch["x"][: 2 * _STEPS], select(self.condition(batch), slice(2 * _STEPS))
        z = self.encode(x, condition)
        t = torch.linspace(0, math.pi / 2, _STEPS, device=z.device, dtype=z.dtype)[:, None]
        paths = t.cos() * z[::2, None] + t.sin() * z.roll(-1, 0)[::2, None]
        given = select(condition, torch.arange(0, len(x), 2, device=z.device).repeat_interleave(_STEPS))
        return Grid(self.decode(paths.flatten(0, 1), given).unflatten(0, (len(paths), _STEPS)))

    def _told(self, condition: Condition | None, dtype: torch.dtype) -> Tensor | None:
        return self.features(self.needed(condition)).to(dtype) if self.conditions else None


def _check_sides(shape: tuple[int, ...], levels: int) -> None:
    """`ValueError` unless images of this shape can be halved `levels` times."""
    *_, height, width = shape
    if height % 2**levels or width % 2**levels:
        most = next(k for k in range(levels, -1, -1) if not (height % 2**k or width % 2**k))
        size = 2**levels * math.ceil(min(height, width) / 2**levels)
        fewer = f"model.levels={most}, or " if most else ""
        raise ValueError(
            f"model.levels={levels}: images of {height}x{width} cannot be halved so often; choose {fewer}images of "
            f"another size, as in dataset.size={size}"
        )
