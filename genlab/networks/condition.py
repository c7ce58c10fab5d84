"""Conditions as inputs of networks, beside the examples or the latents.

Reference: Mirza and Osindero 2014, Conditional Generative Adversarial Nets, https://arxiv.org/abs/1411.1784
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.contract.data import Condition, DataSpec
from genlab.media.kinds import kind_of
from genlab.networks.network import Shape


class ConditionFeatures(nn.Module):
    """The fields `names` of a condition as features [N, size]: labels one-hot, numbers as they are."""

    def __init__(self, data: DataSpec, names: Sequence[str]):
        super().__init__()
        self.fields = {name: data[name] for name in names}
        self.size = sum(kind_of(field).num_features(field) for field in self.fields.values())

    def forward(self, condition: Condition) -> Tensor:
        return torch.cat([kind_of(field).features(field, condition[name]) for name, field in self.fields.items()], 1)


class WithCondition(nn.Module):
    """Examples [N, *in_shape] and features [N, size] as the input [N, *shape] of an encoder: of vectors, the features
    are appended; images get one channel more, a learned linear map of the features."""

    def __init__(self, in_shape: Shape, size: int):
        super().__init__()
        first, *rest = in_shape
        self.shape: Shape = (first + 1, *rest) if rest else (first + size,)
        self.channel = nn.Sequential(nn.Linear(size, rest[0] * rest[1]), nn.Unflatten(1, (1, *rest))) if rest else None

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        return torch.cat([x, self.channel(features) if self.channel else features.to(x.dtype)], dim=1)
