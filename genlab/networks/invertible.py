"""Invertible layers for images, and the multi-scale network of a normalizing flow that is made of them.

A layer maps x [N, C, H, W] to y of the same shape: `forward(x, features)` gives y and log |det dy/dx|, a scalar or [N];
`inverse(y, features)` gives x. features [N, F] are what all layers may depend on; None for nothing.

References:
- Dinh, Sohl-Dickstein, Bengio 2017, Density estimation using Real NVP, https://arxiv.org/abs/1605.08803
- Kingma and Dhariwal 2018, Glow: Generative Flow with Invertible 1x1 Convolutions, https://arxiv.org/abs/1807.03039
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.networks.network import Shape

MixingName = Literal["conv", "masks"]

_MOST_LOG_SCALE = 2.0
"""Of one coupling: larger scales overflow within a few layers, and lose the digits that the inverse needs."""

_MIXING = 0.3
"""Standard deviation of what a pixel's channels add to each other at the start, together."""

_FASTER = 3.0
"""Factor on the log-scales of `Affine`, so that they learn as much faster, as in Glow."""


class Affine(nn.Module):
    """y = (x + shift) * scale, of a channel or, if `shape` is that of the images, of an entry. Starts as the identity.

    Glow's actnorm, without its first batch: statistics of a batch would depend on how it is cut into micro-batches and
    shared among processes, and would have to be known before the first step. Data that begin near mean 0 and deviation
    1 need none, as all layers start by keeping mean and deviation about as they are.
    """

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        self.shift, self.log_scale = nn.Parameter(torch.zeros(*shape)), nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        log_scale = _FASTER * self.log_scale.expand(x.shape[1:])
        return (x + self.shift) * log_scale.exp(), log_scale.sum()

    def inverse(self, y: Tensor, features: Tensor | None) -> Tensor:
        return y * (-_FASTER * self.log_scale).exp() - self.shift


class Convolution(nn.Module):
    """y = P L U x at each pixel: L unit lower triangular, U upper triangular with a positive diagonal, so that
    log |det| = sum log diag U, and P the reversal of the channels. Starts close to P."""

    def __init__(self, channels: int):
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(channels, channels))
        self.upper = nn.Parameter(torch.zeros(channels, channels))  # its diagonal holds log diag U
        if not self.lower.is_meta:
            self.lower.data = torch.randn_like(self.lower).tril(-1) * (_MIXING / channels**0.5)
            self.upper.data = torch.randn_like(self.lower).triu(1) * (_MIXING / channels**0.5)

    def weight(self) -> Tensor:
        """P L U, [C, C]."""
        one = torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + self.upper.diagonal().exp().diag()
        return ((self.lower.tril(-1) + one) @ upper).flip(0)

    def forward(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        with _all_digits(x):
            y = F.conv2d(x, self.weight()[:, :, None, None])
        return y, self.upper.diagonal().sum() * prod(x.shape[2:])

    def inverse(self, y: Tensor, features: Tensor | None) -> Tensor:
        with _all_digits(y):
            return F.conv2d(y, torch.linalg.inv(self.weight())[:, :, None, None])


def _all_digits(like: Tensor) -> AbstractContextManager:
    """Without autocast, which would round what the inverse needs."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


class Flip(nn.Module):
    """Channels in reverse order: the next coupling moves the half that this one kept."""

    def forward(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        return x.flip(1), x.new_zeros(())

    def inverse(self, y: Tensor, features: Tensor | None) -> Tensor:
        return y.flip(1)


class Coupling(nn.Module):
    """The second half of the channels, moved by an affine map that a network derives from the first half, which stays.

    y = (x + shift) * exp(log_scale). The network ends in zeros, so that it starts as the identity.
    shape: (C, H, W). channels: of the network. features: size of what it may depend on. whole: whether the network
    reads all channels, and gives shift and scale for all.
    """

    def __init__(self, shape: Shape, channels: int, features: int = 0, whole: bool = False):
        super().__init__()
        self.kept, moved = (shape[0], shape[0]) if whole else (shape[0] - shape[0] // 2, shape[0] // 2)
        self.first = nn.Conv2d(self.kept, channels, 3, padding=1)
        self.told: nn.Module | None = None
        if features:
            self.told = nn.Sequential(nn.Linear(features, channels, bias=False), nn.Unflatten(1, (channels, 1, 1)))
        self.inner = nn.Conv2d(channels, channels, 1)
        self.last = nn.Conv2d(channels, 2 * moved, 3, padding=1)
        for parameter in self.last.parameters():
            if not parameter.is_meta:
                nn.init.zeros_(parameter)

    def terms(self, kept: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """shift and log_scale, in the dtype of `kept`."""
        h = self.first(kept)
        if self.told is not None:
            h = h + self.told(features)
        raw = self.last(self.inner(h.relu()).relu()).to(kept.dtype)
        shift, log_scale = raw.chunk(2, 1)
        return shift, _MOST_LOG_SCALE * (log_scale / _MOST_LOG_SCALE).tanh()

    def forward(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        shift, log_scale = self.terms(kept, features)
        return torch.cat([kept, (moved + shift) * log_scale.exp()], 1), log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, features: Tensor | None) -> Tensor:
        kept, moved = y[:, : self.kept], y[:, self.kept :]
        shift, log_scale = self.terms(kept, features)
        return torch.cat([kept, moved * (-log_scale).exp() - shift], 1)


class Checkerboard(Coupling):
    """A coupling that moves every other pixel, given the others. odd: which ones it keeps."""

    mask: Tensor

    def __init__(self, shape: Shape, channels: int, features: int, odd: bool):
        super().__init__(shape, channels, features, whole=True)
        squares = torch.arange(shape[1])[:, None] + torch.arange(shape[2]) + odd
        self.register_buffer("mask", (squares % 2).to(torch.get_default_dtype()), persistent=False)

    def masked(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """shift and log_scale, 0 at the pixels that are kept."""
        shift, log_scale = self.terms(x * self.mask, features)
        return shift * (1 - self.mask), log_scale * (1 - self.mask)

    def forward(self, x: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self.masked(x, features)
        return (x + shift) * log_scale.exp(), log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, features: Tensor | None) -> Tensor:
        shift, log_scale = self.masked(y, features)
        return y * (-log_scale).exp() - shift


class MultiScale(nn.Module):
    """A flow with `levels`: at each, 2x2 pixels become the channels of one, layers follow, and half of the channels
    leave as latents (at the last level: all). Latents [N, D] are finest first, and standard normal under the model.

    shape: (C, H, W), both sides multiples of 2^levels. layers: couplings of a level. channels: of their networks.
    mixing: what gives channels other roles in the next coupling: "conv", learned 1x1 convolutions (Glow), or "masks"
    that take turns: checkerboards in the first half of a level, then halves of the channels (Real NVP).
    """

    def __init__(self, shape: Shape, levels: int, layers: int, channels: int, mixing: MixingName, features: int = 0):
        super().__init__()
        self.first = Affine(shape)
        self.shapes: list[Shape] = []  # of what enters a level, squeezed
        self.levels: Any = nn.ModuleList()
        for number in range(levels):
            shape = (4 * shape[0], shape[1] // 2, shape[2] // 2)
            self.shapes.append(shape)
            level: list[nn.Module] = []
            for place in range(layers):
                level += self._step(shape, channels, mixing, features, checkered=2 * place < layers, odd=place % 2 == 1)
            # what maps the latents that leave is their mean and deviation under the prior, given those that stay
            last = number == levels - 1
            self.levels.append(nn.ModuleList([*level, Affine(shape) if last else Coupling(shape, channels, features)]))
            shape = (shape[0] // 2, *shape[1:])

    @staticmethod
    def _step(
        shape: Shape, channels: int, mixing: MixingName, features: int, checkered: bool, odd: bool
    ) -> list[nn.Module]:
        """A coupling, and what comes before it."""
        norm = Affine((shape[0], 1, 1))
        if mixing == "conv":
            return [norm, Convolution(shape[0]), Coupling(shape, channels, features)]
        if checkered:
            return [norm, Checkerboard(shape, channels, features, odd)]
        return [norm, Flip(), Coupling(shape, channels, features)]

    def forward(self, x: Tensor, features: Tensor | None = None, inverse: bool = False) -> Tensor:
        """[N, C, H, W] to [N, D + 1], the latents and, as the last entry, log |det dz/dx|; latents [N, D] to images
        [N, C, H, W] if `inverse`. One tensor, so that it is computed in portions of the rows."""
        return self._images(x, features) if inverse else self._latents(x, features)

    def _latents(self, x: Tensor, features: Tensor | None) -> Tensor:
        x, log_det = self.first(x, features)
        parts, log_det = [], log_det.expand(x.shape[0])
        for number, level in enumerate(self.levels):
            x = F.pixel_unshuffle(x, 2)
            for layer in level:
                x, more = layer(x, features)
                log_det = log_det + more
            if number < len(self.levels) - 1:
                x, leaving = x.chunk(2, 1)
                parts.append(leaving.flatten(1))
        return torch.cat([*parts, x.flatten(1), log_det[:, None]], 1)

    def _images(self, z: Tensor, features: Tensor | None) -> Tensor:
        sizes = [prod(shape) // 2 for shape in self.shapes[:-1]] + [prod(self.shapes[-1])]
        x = z[:, :0]
        for shape, part, level in reversed(list(zip(self.shapes, z.split(sizes, 1), self.levels, strict=True))):
            if level is self.levels[-1]:
                x = part.unflatten(1, shape)
            else:
                x = torch.cat([x, part.unflatten(1, (shape[0] // 2, *shape[1:]))], 1)
            for layer in reversed(level):
                x = layer.inverse(x, features)
            x = F.pixel_shuffle(x, 2)
        return self.first.inverse(x, features)
