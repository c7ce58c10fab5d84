"""U-Net that sees a noisy image, the time and a condition (`network=denoising-unet`), for diffusion models.

References:
- Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239
- Dhariwal, Nichol 2021, Diffusion Models Beat GANs on Image Synthesis (scale and shift),
  https://arxiv.org/abs/2105.05233
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from genlab.networks.layers import attend, check_least, check_widths
from genlab.networks.network import Network, Shape


class TimeEmbedding(nn.Module):
    """Times [N] in [0, 1], and features [N, F] if there are any, to [N, width]."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.frequencies = width // 4
        self.body = nn.Sequential(nn.Linear(2 * self.frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.told = nn.Linear(features, width, bias=False) if features else None

    def forward(self, t: Tensor, features: Tensor | None) -> Tensor:
        scales = torch.linspace(0, math.log(1e4), self.frequencies, device=t.device, dtype=t.dtype)
        angles = 1000 * t[:, None] * (-scales).exp()
        found = self.body(torch.cat([angles.cos(), angles.sin()], 1))
        return found if self.told is None or features is None else found + self.told(features)


class Block(nn.Module):
    """x + convolutions of x, whose normalized features are scaled and shifted by the embedding; then attention."""

    def __init__(self, in_channels: int, channels: int, embedding: int, dropout: float, attention: bool):
        super().__init__()
        # one group: on a CPU several times as fast as more of them, or as normalizing each pixel
        self.norm_in, self.norm_out = nn.GroupNorm(1, in_channels), nn.GroupNorm(1, channels, affine=False)
        self.conv_in = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.told = nn.Linear(embedding, 2 * channels)
        self.drop = nn.Dropout(dropout)
        self.across = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else nn.Identity()
        self.attention = Attention(channels) if attention else nn.Identity()
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.told.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv_in(silu(self.norm_in(x)))
        scale, shift = self.told(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv_out(self.drop(silu(self.norm_out(h) * (1 + scale) + shift)))
        return self.attention(self.across(x) + h)


class Attention(nn.Module):
    """x + attention of all pixels to all pixels, one head of `channels`."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.inward, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.inward(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        return x + self.out(attend(q, k, v).transpose(1, 2).unflatten(2, x.shape[2:]))


class DenoisingUNet(nn.Module):
    """x [N, C, H, W], t [N], features [N, F] -> [N, C, H, W]. Sides are halved between levels, rounded up."""

    def __init__(self, shape: Shape, features: int, network: "Denoising"):
        super().__init__()
        widths, side = list(network.widths), min(shape[1:])
        first, embedding = widths[0], 4 * widths[0]
        self.embedding = TimeEmbedding(features, embedding)
        self.first = nn.Conv2d(shape[0], first, 3, padding=1)

        def blocks(level: int, below: int) -> nn.ModuleList:
            attention = -(-side // 2**level) <= network.attention
            sizes = [below, *[widths[level]] * network.blocks]
            return nn.ModuleList(Block(a, b, embedding, network.dropout, attention) for a, b in pairwise(sizes))

        deepest = len(widths) - 1
        self.down: Any = nn.ModuleList(blocks(level, widths[max(level - 1, 0)]) for level in range(deepest))
        self.shrink = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for width in widths[:-1])
        self.middle = blocks(deepest, widths[max(deepest - 1, 0)]).extend(blocks(deepest, widths[-1]))
        self.grow = nn.ModuleList(nn.Conv2d(below, width, 3, padding=1) for width, below in pairwise(widths))
        self.up: Any = nn.ModuleList(blocks(level, 2 * widths[level]) for level in range(deepest))
        self.norm = nn.GroupNorm(1, first)
        self.last = nn.Conv2d(first, 2 * shape[0], 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, t: Tensor, features: Tensor | None = None) -> Tensor:
        embedding = silu(self.embedding(t, features))
        h, kept = self.first(x), list[Tensor]()
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            for block in blocks:
                h = block(h, embedding)
            kept.append(h)
            h = shrink(h)
        for block in self.middle:
            h = block(h, embedding)
        for blocks, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            across = kept.pop()
            h = torch.cat([interpolate(grow(h), across.shape[-2:], mode="nearest"), across], 1)
            for block in blocks:
                h = block(h, embedding)
        shift, scale = self.last(silu(self.norm(h))).chunk(2, 1)
        return shift + scale * x  # as normalized features do not say how large the noise of a pixel is


@dataclass(frozen=True)
class Denoising(Network):
    """widths: channels of each level. blocks: of each level. attention: largest side of an image's
    features that attend to each other. dropout: rate inside blocks."""

    widths: Sequence[int] = (16, 48, 96)
    blocks: int = 1
    attention: int = 7
    dropout: float = 0.0

    name: ClassVar[str] = "denoising-unet"

    def __post_init__(self) -> None:
        check_widths("network.widths", self.widths)
        check_least(1, "network", blocks=self.blocks)
        if not self.widths:
            raise ValueError("network.widths=[]: needs at least one level, as in network.widths=[32,64,64]")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"network.dropout={self.dropout}: must lie in [0, 1)")

    def denoiser(self, shape: Shape, features: int = 0) -> nn.Module:
        self.check_shape(shape)
        return DenoisingUNet(shape, features, self)
