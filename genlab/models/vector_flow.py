"""Normalizing flows of vectors: the exact likelihood of points, or of flattened images, by an invertible map to noise.

A layer of f maps each entry by a monotonic function, whose parameters a network makes from other entries: from those
before it (autoregressive), or from a half that stays as it is (coupling). These functions are zuko's, https://github.com/probabilists/zuko.

References:
- Dinh, Krueger, Bengio 2015, NICE: Non-linear Independent Components Estimation, https://arxiv.org/abs/1410.8516
- Papamakarios, Pavlakou, Murray 2017, Masked Autoregressive Flow for Density Estimation,
  https://arxiv.org/abs/1705.07057, also for images in logit space
- Durkan, Bekasov, Murray, Papamakarios 2019, Neural Spline Flows, https://arxiv.org/abs/1906.04032
"""

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from zuko.lazy import UnconditionalTransform
from zuko.transforms import AdditiveTransform, MonotonicAffineTransform, MonotonicRQSTransform

from genlab.contract.data import DataSpec
from genlab.models.exact_likelihood import DequantisationName, Flow
from genlab.networks.layers import check_least
from genlab.networks.network import Network

TransformName = Literal["additive", "affine", "spline"]

_BOUND = 5.0
"""Splines act on [-5, 5], and are the identity elsewhere. All images lie inside."""


class VectorFlow(Flow):
    """z = f(x), N(0, I) under the model; if `conditional` and the data have labels, f depends on the label; see `Flow`.

    transform: of an entry: "additive", "affine" or "spline" (rational-quadratic, of `bins` pieces).
    layers: of f; the order of the entries, or the half that stays, is another in each.
    coupling: whether networks read one half, so that f and its inverse take one pass, or the entries before each one,
        so that the inverse goes from entry to entry.
    alpha: pixels u in [0, 1] are modelled as logit(alpha + (1 - 2 alpha) u).
    """

    averaged: ClassVar[tuple[str, ...]] = ("networks", "scaling", *Flow.averaged)
    kinds = frozenset({"image", "points"})

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
        dequantisation: DequantisationName = "uniform",
    ):
        check_least(1, layers=layers)
        check_least(2, bins=bins)
        if not 0 < alpha < 0.5:
            raise ValueError(f"model.alpha={alpha}: must lie between 0 and 0.5, as in model.alpha=1e-6")
        super().__init__(data, conditional, dequantisation, alpha, _BOUND / math.log((1 - alpha) / alpha))
        self.transform, self.coupling, self.bins = transform, coupling, bins
        self.sequential = () if coupling else ("decode",)
        self.networks = nn.ModuleList(self._network(network, number) for number in range(layers))
        zeros = torch.zeros(self.size)
        self.scaling = UnconditionalTransform(MonotonicAffineTransform, zeros, zeros.clone())

    def _network(self, network: Network, number: int) -> nn.Module:
        """The network of layer `number`: [N, entries read] -> the parameters of the functions of entries."""
        parameters = {"additive": 1, "affine": 2, "spline": 3 * self.bins - 1}[self.transform]
        if not self.coupling:
            found = network.autoregressive((self.size,), parameters, self.features.size)
            if found.orderings > 1:
                raise ValueError(
                    f"network.orderings={found.orderings}: a flow needs a single order of the entries; choose "
                    "network.orderings=1, or model=made"
                )
            return found
        if self.size < 2:
            raise ValueError(
                "model.coupling=true: needs examples of at least two entries; choose model=nsf or model=maf"
            )
        kept = len(range(number % 2, self.size, 2))
        return network.encoder((kept + self.features.size,), parameters * (self.size - kept))

    def to_noise(self, y: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        y, log_det = y.flatten(1), y.new_zeros(y.shape[0])
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

    def from_noise(self, z: Tensor, features: Tensor | None) -> Tensor:
        y = self.scaling().inv(z)
        for number, network in reversed(list(enumerate(self.networks))):
            if self.coupling:
                kept, moved = y[:, number % 2 :: 2], y[:, 1 - number % 2 :: 2]
                y = _interleaved(number, kept, self._halved(network, kept, features).inv(moved))
            else:
                y = self._entry_by_entry(network, y.flip(1), features)
        return y.unflatten(1, self.data.shape)

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


def _interleaved(number: int, kept: Tensor, moved: Tensor) -> Tensor:
    """The entries [N, D] of two halves; `kept` are the even ones if `number` is even, the odd ones otherwise."""
    whole = kept.new_empty(kept.shape[0], kept.shape[1] + moved.shape[1])
    whole[:, number % 2 :: 2], whole[:, 1 - number % 2 :: 2] = kept, moved
    return whole
