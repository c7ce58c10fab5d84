"""Normalizing flows of vectors: the exact likelihood of points, or of flattened images, by an invertible map to noise.

log p(x) = log N(f(x); 0, I) + log |det df/dx|. A layer of f maps each entry by a monotonic function, whose parameters a
network makes from other entries: from those before it (autoregressive), or from a half that stays as it is (coupling).
These functions are zuko's, https://github.com/probabilists/zuko.

References:
- Dinh, Krueger, Bengio 2015, NICE: Non-linear Independent Components Estimation, https://arxiv.org/abs/1410.8516
- Papamakarios, Pavlakou, Murray 2017, Masked Autoregressive Flow for Density Estimation,
  https://arxiv.org/abs/1705.07057, also for images in logit space
- Durkan, Bekasov, Murray, Papamakarios 2019, Neural Spline Flows, https://arxiv.org/abs/1906.04032
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from zuko.lazy import UnconditionalTransform
from zuko.transforms import AdditiveTransform, MonotonicAffineTransform, MonotonicRQSTransform

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.kinds import levels_of
from genlab.models.latents import one_class_a_column, standard_normal
from genlab.networks.condition import ConditionFeatures
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import check_least
from genlab.networks.network import Network

TransformName = Literal["additive", "affine", "spline"]

_BOUND = 5.0
"""Splines act on [-5, 5], and are the identity elsewhere. All images lie inside."""


class VectorFlow(GenerativeModel):
    """z = f(x), N(0, I) under the model; z: [N, D], D the number of entries of x. If `conditional` and the data have
    labels, f depends on the label.

    Images are dequantised uniformly: log p is that of the image of `levels` values, and the mean over the noise is a
    lower bound on it (Theis, van den Oord, Bethge 2016, https://arxiv.org/abs/1511.01844).

    transform: of an entry: "additive", "affine" or "spline" (rational-quadratic, of `bins` pieces).
    layers: of f; the order of the entries, or the half that stays, is another in each.
    coupling: whether networks read one half, so that f and its inverse take one pass, or the entries before each one,
        so that the inverse goes from entry to entry.
    alpha: pixels u in [0, 1] are modelled as logit(alpha + (1 - 2 alpha) u).
    """

    averaged: ClassVar[tuple[str, ...]] = ("networks", "scaling")
    kinds = frozenset({"image", "points"})
    conditions: tuple[str, ...] = ("label",)
    metrics = {"log_likelihood": "max", "bits_per_dim": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        transform: TransformName = "affine",
        layers: int = 5,
        coupling: bool = False,
        bins: int = 8,
        alpha: float = 1e-6,
        conditional: bool = False,
    ):
        super().__init__(data)
        check_least(1, layers=layers)
        check_least(2, bins=bins)
        if not 0 < alpha < 0.5:
            raise ValueError(f"model.alpha={alpha}: must lie between 0 and 0.5, as in model.alpha=1e-6")
        if not conditional:
            self.conditions = ()
        self.transform, self.coupling, self.bins, self.alpha = transform, coupling, bins, alpha
        self.sequential = () if coupling else ("decode",)
        self.size, self.levels = math.prod(data.shape), levels_of(data["x"])
        self.unit = Coordinates(data["x"], "unit")
        self.stretch = _BOUND / math.log((1 - alpha) / alpha)
        self.features = ConditionFeatures(data, self.conditions)
        self.networks = nn.ModuleList(self._network(network, number) for number in range(layers))
        zeros = torch.zeros(self.size)
        self.scaling = UnconditionalTransform(MonotonicAffineTransform, zeros, zeros.clone())

    def _network(self, network: Network, number: int) -> nn.Module:
        """The network of layer `number`: [N, entries read] -> the parameters of the functions of entries."""
        parameters = {"additive": 1, "affine": 2, "spline": 3 * self.bins - 1}[self.transform]
        if not self.coupling:
            return network.autoregressive((self.size,), parameters, self.features.size)
        if self.size < 2:
            raise ValueError(
                "model.coupling=true: needs examples of at least two entries; choose model=nsf or model=maf"
            )
        kept = len(range(number % 2, self.size, 2))
        return network.encoder((kept + self.features.size,), parameters * (self.size - kept))

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        nats = self._nats(batch).mean()
        yield Update("model", -nats, {"log_likelihood": nats})

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x) [N] in nats; of images, with noise from torch's global generator."""
        return self.nats(x, torch.rand_like(x), condition)

    def nats(self, x: Tensor, noise: Tensor | None, condition: Condition | None) -> Tensor:
        """log p(x) [N] in nats. noise: uniform in [0, 1), shaped as x; only images need it."""
        y, volume = self._inward(x, noise)
        z, log_det = self._to_noise(y, self._told(condition, y))
        return log_det + volume - (z.square() + math.log(2 * math.pi)).sum(1) / 2

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """-nats / (D log 2): of images, nats are of their discrete values."""
        return -nats / (self.size * math.log(2))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """z [N, D] of examples [N, *shape]; of images, without noise, from the middle between two values."""
        y, _ = self._inward(x, torch.full_like(x, 0.5))
        return self._to_noise(y, self._told(condition, y))[0]

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The examples [N, *shape] of z [N, D]."""
        return self._outward(self._from_noise(z, self._told(condition, z))).unflatten(1, self.data.shape)

    def reconstruct(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """`decode(encode(x))`: x but for rounding, if f can be inverted as it should."""
        return self.decode(self.encode(x, condition), condition)

    def prior(self, num_samples: int) -> Tensor:
        """z ~ N(0, I), [num_samples, D], by torch's global generator."""
        return standard_normal(num_samples, self.size, self.networks)

    def sample(self, num_samples: int, condition: Condition | None = None, *, temperature: float = 1.0) -> Tensor:
        """Examples [num_samples, *shape] for z drawn from the prior by torch's global generator.

        temperature: standard deviation of z; below 1 for more probable examples; above 0.
        """
        if temperature <= 0:
            raise ValueError(f"sampling.temperature={temperature}: must be above 0, as in sampling.temperature=0.9")
        return self.decode(temperature * self.prior(num_samples), condition)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """log_likelihood in nats and, of images, bits_per_dim."""
        nats = self._nats(batch).mean()
        return {"log_likelihood": nats} | ({"bits_per_dim": self.bits_per_dim(nats)} if self.levels else {})

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """A square grid of samples; or one class per column, with the same noise within each row."""
        z, side = batch.randn(self.size), max(1, int(batch.size**0.5))
        if self.conditions:
            return {"samples": one_class_a_column(self.data, z, self.decode)}
        return {"samples": Grid(self.decode(z[: side * side]).unflatten(0, (side, side)))}

    def _nats(self, batch: Batch) -> Tensor:
        noise = batch.rand(*self.data.shape) if self.levels else None
        return self.nats(batch["x"], noise, self.condition(batch))

    def _inward(self, x: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor | float]:
        """Coordinates y [N, D] about 0, and what is to be added to log p(y) for log p(x), [N] or a number."""
        if not self.levels or noise is None:
            return self.unit.inward(x).flatten(1), -self.unit.log_scale
        number = (self.unit.inward(x) * (self.levels - 1)).round()
        # u = (number + noise) / levels in [0, 1), and 1 - u, which is not rounded to 0
        u, v = (number + noise) / self.levels, (self.levels - 1 - number + (1 - noise)) / self.levels
        log_p, log_q = ((self.alpha + (1 - 2 * self.alpha) * part).flatten(1).log() for part in (u, v))
        # P(x) = p(u) / levels^D, and d logit(p) / dp = 1 / (p (1 - p))
        constant = math.log(self.stretch * (1 - 2 * self.alpha) / self.levels)
        return self.stretch * (log_p - log_q), (constant - log_p - log_q).sum(1)

    def _outward(self, y: Tensor) -> Tensor:
        """Examples [N, D] with these coordinates."""
        if not self.levels:
            return self.unit.outward(y)
        u = ((y / self.stretch).sigmoid() - self.alpha) / (1 - 2 * self.alpha)
        return self.unit.outward((u * self.levels).floor().clamp(0, self.levels - 1) / (self.levels - 1))

    def _to_noise(self, y: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """z = f(y) [N, D] and log |det dz/dy| [N]."""
        log_det = y.new_zeros(y.shape[0])
        for number, network in enumerate(self.networks):
            if self.coupling:
                kept, moved = y[:, number % 2 :: 2], y[:, 1 - number % 2 :: 2]
                moved, log_slopes = self._halved(network, kept, features).call_and_ladj(moved)
                y = _interleaved(number, kept, moved)
            else:
                y, log_slopes = self._functions(network(y, features).movedim(1, -1), y).call_and_ladj(y)
                y = y.flip(1)
            log_det = log_det + log_slopes.sum(1)
        z, log_slopes = self.scaling().call_and_ladj(y)
        return z, log_det + log_slopes.sum(1)

    def _from_noise(self, z: Tensor, features: Tensor | None) -> Tensor:
        """y [N, D] with f(y) = z [N, D]."""
        y = self.scaling().inv(z)
        for number, network in reversed(list(enumerate(self.networks))):
            if self.coupling:
                kept, moved = y[:, number % 2 :: 2], y[:, 1 - number % 2 :: 2]
                y = _interleaved(number, kept, self._halved(network, kept, features).inv(moved))
            else:
                y = self._entry_by_entry(network, y.flip(1), features)
        return y

    def _entry_by_entry(self, network: Any, z: Tensor, features: Tensor | None) -> Tensor:
        """The inverse of an autoregressive layer. The network computes what has changed alone."""
        y = torch.zeros_like(z)
        entry = network.entries(y, features)
        for number, place in enumerate(network.order().tolist()):
            y[:, place] = self._functions(entry(number), z).inv(z[:, place])
        return y

    def _halved(self, network: nn.Module, kept: Tensor, features: Tensor | None) -> Any:
        """The functions of the entries that are not `kept`."""
        raw = network(kept if features is None else torch.cat([kept, features], 1))
        return self._functions(raw.unflatten(1, (self.size - kept.shape[1], -1)), kept)

    def _functions(self, raw: Tensor, like: Tensor) -> Any:
        """Monotonic functions of entries, one for each row of raw outputs [..., parameters]."""
        raw = raw.to(like.dtype)
        if self.transform == "spline":
            return MonotonicRQSTransform(*raw.split([self.bins, self.bins, self.bins - 1], -1), bound=_BOUND)
        return (AdditiveTransform if self.transform == "additive" else MonotonicAffineTransform)(*raw.unbind(-1))

    def _told(self, condition: Condition | None, like: Tensor) -> Tensor | None:
        return self.features(self.needed(condition)).to(like) if self.conditions else None


def _interleaved(number: int, kept: Tensor, moved: Tensor) -> Tensor:
    """The entries [N, D] of two halves; `kept` are the even ones if `number` is even, the odd ones otherwise."""
    whole = kept.new_empty(kept.shape[0], kept.shape[1] + moved.shape[1])
    whole[:, number % 2 :: 2], whole[:, 1 - number % 2 :: 2] = kept, moved
    return whole
