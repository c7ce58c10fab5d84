"""MSG-GAN: the generator makes an image at every size, and the discriminator reads all of them at once.

So gradients reach the small features directly, and nothing has to grow.

Reference: Karnewar, Wang 2020, MSG-GAN: Multi-Scale Gradients for Generative Adversarial Networks,
https://arxiv.org/abs/1903.06048
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.models.gan import GAN
from genlab.networks.multi_scale import MultiScale, ScaleDecoder, ScaleEncoder, resized
from genlab.networks.network import Network


class PyramidReader(nn.Module):
    """Images of all sizes, flat and side by side, [N, sum of C h w], to [N, out_features]."""

    def __init__(self, encoder: ScaleEncoder, channels: int):
        super().__init__()
        self.encoder = encoder
        self.shapes = [(channels, *size) for size in encoder.sizes]

    @property
    def head(self) -> nn.Module:
        """The last layer."""
        return self.encoder.head

    def forward(self, rows: Tensor) -> Tensor:
        parts = rows.split([prod(shape) for shape in self.shapes], 1)
        return self.encoder.read([part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)])


class MSGGAN(GAN):
    """A `GAN` of network=multi-scale, whose discriminator reads images of all sizes. Takes those
    settings of `GAN` that do not change what its discriminator reads."""

    reads_examples = False
    generator: ScaleDecoder

    kinds = frozenset({"image"})

    def __init__(self, data: DataSpec, *, network: Network, **settings: Any):
        if not isinstance(network, MultiScale):
            raise ValueError(f"network={network.name}: has no images of all sizes; choose network=multi-scale")
        super().__init__(data, network=network, **settings)

    def make_discriminator(self, network: Network, **style: Any) -> nn.Module:
        return PyramidReader(network.encoder(self.data.shape, 1, **style), self.data.shape[0])  # type: ignore[arg-type]

    def compared(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        z, real = self.latents(batch), self.signed.inward(batch["x"])
        made = [self.signed.squash(raw.to(z.dtype)) for raw in self.generator.scales(z)]
        return self._pyramid(real), _flat(made), z

    def _pyramid(self, x: Tensor) -> Tensor:
        return _flat([resized(x, size) for size in self.generator.sizes])

    def discriminator_score(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The logit [N] of examples [N, *shape] at all sizes: larger means more like the data."""
        return self.discriminate(self._pyramid(self.signed.inward(x)))


def _flat(images: Sequence[Tensor]) -> Tensor:
    return torch.cat([image.flatten(1) for image in images], 1)
