"""Networks without hidden layers (`network=linear`)."""

from dataclasses import dataclass
from math import prod

from torch import nn

from genlab.networks.network import Network


@dataclass(frozen=True)
class LinearMaps(Network):
    """Encoder and decoder of one linear map each. bias: whether it has a constant term."""

    name = "linear"
    images_only = False

    bias: bool = True

    def encoder(self, shape, out_features, **style):
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), out_features, self.bias))

    def decoder(self, in_features, shape, **style):
        return nn.Sequential(nn.Linear(in_features, prod(shape), self.bias), nn.Unflatten(1, shape))
