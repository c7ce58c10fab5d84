"""Distributions of entries that take evenly spaced values in [0, 1], given raw outputs of a network.

References:
- van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel Recurrent Neural Networks, https://arxiv.org/abs/1601.06759
- Salimans, Karpathy, Chen, Kingma 2017, PixelCNN++, https://arxiv.org/abs/1701.05517, for the logistic mixture
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DiscreteName = Literal["bernoulli", "categorical", "logistics"]

_SMALLEST_LOG_SCALE = -7.0


class Discrete(nn.Module):
    """Base: an entry takes the values 0, 1/(levels - 1), ..., 1. parameters: raw outputs for each entry."""

    def __init__(self, levels: int, parameters: int):
        super().__init__()
        self.levels, self.outputs = levels, parameters

    def number(self, x: Tensor) -> Tensor:
        """The number 0 .. levels - 1 of each value."""
        return (x * (self.levels - 1)).round().long()

    def rounded(self, x: Tensor) -> Tensor:
        """Values in [0, 1], each replaced by the nearest one that an entry can take."""
        return (x * (self.levels - 1)).round() / (self.levels - 1)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """log p(x) in nats of each entry, [N, *shape]; raw: [N, outputs, *shape]."""
        raise NotImplementedError

    def draw(self, raw: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Values [N] from raw outputs [N, outputs] and uniform noise [N, 2]; logits are divided by `temperature`."""
        raise NotImplementedError


class Binary(Discrete):
    """1 with probability sigmoid(output)."""

    def __init__(self) -> None:
        super().__init__(2, 1)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(raw[:, 0].to(x.dtype), x, reduction="none")

    def draw(self, raw: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        return (noise[:, 0] < (raw[:, 0] / temperature).sigmoid()).to(noise.dtype)


class Categorical(Discrete):
    """A logit for each value."""

    def __init__(self, levels: int):
        super().__init__(levels, levels)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        return -F.cross_entropy(raw.to(x.dtype), self.number(x), reduction="none")

    def draw(self, raw: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        return _chosen(raw / temperature, noise[:, 0]).to(noise.dtype) / (self.levels - 1)


class Logistics(Discrete):
    """A mixture of logistic distributions, rounded to the nearest value; the outermost values take the tails."""

    def __init__(self, levels: int, mixtures: int):
        super().__init__(levels, 3 * mixtures)
        self.reach = 1 / (levels - 1)  # half the distance of two values in [-1, 1]

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        logits, means, log_scales = raw.to(x.dtype).chunk(3, dim=1)
        scale = (-log_scales.clamp(min=_SMALLEST_LOG_SCALE)).exp()
        distance = 2 * x[:, None] - 1 - means
        upper, lower = scale * (distance + self.reach), scale * (distance - self.reach)
        # log(sigmoid(upper) - sigmoid(lower)) = log sigmoid(upper) + log sigmoid(-lower) + log(1 - exp(lower - upper))
        inside = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log1p(-(lower - upper).exp())
        number = self.number(x)[:, None]
        found = torch.where(number == 0, F.logsigmoid(upper), inside)
        found = torch.where(number == self.levels - 1, F.logsigmoid(-lower), found)
        return (logits.log_softmax(1) + found).logsumexp(1)

    def draw(self, raw: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        logits, means, log_scales = raw.chunk(3, dim=1)
        chosen = _chosen(logits / temperature, noise[:, 0])[:, None]
        mean, log_scale = (values.gather(1, chosen)[:, 0] for values in (means, log_scales))
        u = noise[:, 1].clamp(1e-5, 1 - 1e-5)
        y = mean + log_scale.clamp(min=_SMALLEST_LOG_SCALE).exp() * temperature * (u.log() - (1 - u).log())
        return ((y.clamp(-1, 1) + 1) / 2 * (self.levels - 1)).round() / (self.levels - 1)


def _chosen(logits: Tensor, noise: Tensor) -> Tensor:
    """Index [N] drawn from softmax(logits) [N, K] by uniform noise [N]."""
    below = logits.softmax(1).cumsum(1) <= noise[:, None]
    return below.sum(1).clamp(max=logits.shape[1] - 1)


def make_discrete(name: DiscreteName, levels: int, mixtures: int) -> Discrete:
    """The distribution `name` of entries with `levels` values; only "logistics" uses `mixtures`."""
    if name == "bernoulli":
        return Binary()
    return Categorical(levels) if name == "categorical" else Logistics(levels, mixtures)
