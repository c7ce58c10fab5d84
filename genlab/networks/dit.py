"""Diffusion transformer (`network=dit`): patches of a noisy image attend to each other, told the time and a condition.

Scale, shift and gate of each layer follow from the time and the condition; the gates are 0 at first (adaLN-zero).

Reference: Peebles, Xie 2023, Scalable Diffusion Models with Transformers, https://arxiv.org/abs/2212.09748
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, pad, silu

from genlab.networks.denoising_unet import TimeEmbedding
from genlab.networks.layers import attend, check_least
from genlab.networks.network import Network, Shape


class Layer(nn.Module):
    """Attention, then an MLP four times as wide: [N, T, width] -> the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.inward, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.told = _zeros(nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = self.told(embedding)[:, None].chunk(6, 2)
        heads = self.inward(self.norm(x) * (1 + scale) + shift).unflatten(2, (3, self.heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        x = x + gate * self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        return x + mlp_gate * self.mlp(self.norm(x) * (1 + mlp_scale) + mlp_shift)


class Transformer(nn.Module):
    """x [N, C, H, W], t [N], features [N, F] -> [N, C, H, W]. Images are padded to whole patches."""

    def __init__(self, shape: Shape, features: int, network: "DiT"):
        super().__init__()
        self.patch = network.patch
        self.rows, self.columns = (-(-side // self.patch) for side in shape[1:])
        width = network.width
        self.embedding = TimeEmbedding(features, width)
        self.inward = nn.Conv2d(shape[0], width, self.patch, stride=self.patch)
        self.place = nn.Parameter(0.02 * torch.randn(1, self.rows * self.columns, width))
        self.layers: Any = nn.ModuleList(Layer(width, network.heads) for _ in range(network.layers))
        self.norm, self.told = nn.LayerNorm(width, elementwise_affine=False), _zeros(nn.Linear(width, 2 * width))
        self.out = _zeros(nn.Linear(width, shape[0] * self.patch**2))

    def forward(self, x: Tensor, t: Tensor, features: Tensor | None = None) -> Tensor:
        embedding = silu(self.embedding(t, features))
        height, width = self.rows * self.patch, self.columns * self.patch
        whole = pad(x, (0, width - x.shape[3], 0, height - x.shape[2]))
        h = self.inward(whole).flatten(2).transpose(1, 2) + self.place
        for layer in self.layers:
            h = layer(h, embedding)
        scale, shift = self.told(embedding)[:, None].chunk(2, 2)
        patches = self.out(self.norm(h) * (1 + scale) + shift).transpose(1, 2)
        return fold(patches, (height, width), self.patch, stride=self.patch)[:, :, : x.shape[2], : x.shape[3]]


def _zeros(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True)
class DiT(Network):
    """patch: side of a patch in pixels. width: of its features, a multiple of 4 and of `heads`. layers: of the
    transformer. heads: of attention."""

    patch: int = 4
    width: int = 128
    layers: int = 6
    heads: int = 4

    name: ClassVar[str] = "dit"

    def __post_init__(self) -> None:
        check_least(1, "network", patch=self.patch, width=self.width, layers=self.layers, heads=self.heads)
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"network.width={self.width}: must be a multiple of 4 and of network.heads={self.heads}")

    def denoiser(self, shape: Shape, features: int = 0) -> nn.Module:
        self.check_shape(shape)
        return Transformer(shape, features, self)
