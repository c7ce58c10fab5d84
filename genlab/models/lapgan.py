"""LAPGAN: one GAN for the smallest images, and one for each larger size that adds what an enlarged image lacks.

At each larger size the generator sees the enlarged smaller image l and draws the difference h, and the discriminator
reads l + h beside l. All sizes are trained at once, on real smaller images; samples go from size to size.

Reference: Denton, Chintala, Szlam, Fergus 2015, Deep Generative Image Models using a Laplacian Pyramid of Adversarial
Networks, https://arxiv.org/abs/1506.05751
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.losses.adversarial import accuracy, discriminator_loss, generator_loss
from genlab.models.latents import compared_samples, grid_of_samples, standard_normal
from genlab.networks.convolutional import pyramid
from genlab.networks.layers import check_least
from genlab.networks.multi_scale import resized
from genlab.networks.network import Network


class Detail(nn.Module):
    """The difference [N, C, H, W] that an enlarged image [N, C, H, W] lacks, from noise [N, L] and features of it."""

    def __init__(self, network: Network, shape: tuple[int, ...], latent_dim: int, features: int = 64):
        super().__init__()
        self.encoder = network.encoder(shape, features, activation="leaky_relu")
        self.decoder = network.decoder(latent_dim + features, shape, normalization="batch")

    def forward(self, enlarged: Tensor, z: Tensor) -> Tensor:
        return self.decoder(torch.cat([self.encoder(enlarged), z], 1))


class LAPGAN(GenerativeModel):
    """z ~ N(0, I), z: [N, sizes * latent_dim], a part for each size.

    network: of each size, the generators and discriminators of its images. levels: sizes besides the image's own, each
    half the next larger one; fewer where images would have fewer than 8 pixels.
    """

    averaged = ("generators",)
    metrics = {"sliced_wasserstein": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 16,
        levels: int = 2,
        loss: Literal["non-saturating", "minimax", "hinge", "least-squares"] = "non-saturating",
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim, levels=levels)
        channels, *side = data["x"].shape
        self.sizes = [size for size in pyramid(*side)[: levels + 1] if min(size) >= 8][::-1]
        self.latent_dim, self.loss = latent_dim, loss
        shapes = [(channels, *size) for size in self.sizes]
        smallest = network.decoder(latent_dim, shapes[0], normalization="batch")
        self.generators = nn.ModuleList([smallest, *(Detail(network, shape, latent_dim) for shape in shapes[1:])])
        beside = [shapes[0], *((2 * channels, *shape[1:]) for shape in shapes[1:])]
        style = {"activation": "leaky_relu"}
        self.discriminators = nn.ModuleList(network.encoder(shape, 1, **style) for shape in beside)

    def players(self) -> dict[str, nn.Module]:
        return {"discriminators": self.discriminators, "generators": self.generators}

    def at(self, level: int, z: Tensor, enlarged: Tensor | None) -> Tensor:
        """G: images of a size in [-1, 1], from latents [N, latent_dim] and smaller images enlarged to it."""
        if enlarged is None:
            return self.generators[level](z).to(z.dtype).tanh()
        return enlarged + self.generators[level](enlarged, z).to(z.dtype)

    def read(self, level: int, x: Tensor, enlarged: Tensor | None) -> Tensor:
        """D: logits [N] of images of a size, beside what they were made of."""
        seen = x if enlarged is None else torch.cat([x, enlarged], 1)
        return self.discriminators[level](seen).to(x.dtype).squeeze(1)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        whole = 2 * batch["x"] - 1
        real = [resized(whole, size) for size in self.sizes]
        enlarged = [None, *(resized(small, size) for small, size in zip(real, self.sizes[1:], strict=False))]
        levels = range(len(self.sizes))
        fake = [self.at(level, batch.randn(self.latent_dim), enlarged[level]) for level in levels]

        losses, right, log = [], [], {}
        for level in levels:
            on_real, on_fake = (self.read(level, x[level].detach(), enlarged[level]) for x in (real, fake))
            losses.append(discriminator_loss(self.loss, on_real, on_fake))
            right.append(accuracy(self.loss, on_real, on_fake))
            log[f"loss/{self.sizes[level][0]}"] = losses[-1]
        log["accuracy"] = torch.stack(right).mean()
        yield Update("discriminators", torch.stack(losses).sum(), log)

        losses = [generator_loss(self.loss, self.read(level, fake[level], enlarged[level])) for level in levels]
        log = {f"loss/{size[0]}": loss for size, loss in zip(self.sizes, losses, strict=True)}
        yield Update("generators", torch.stack(losses).sum(), log)

    def prior(self, num_samples: int, truncation: float | None = None) -> Tensor:
        """z ~ N(0, I), by torch's global generator; see `standard_normal`."""
        return standard_normal(num_samples, len(self.sizes) * self.latent_dim, self.generators, truncation)

    def decode(self, z: Tensor) -> Tensor:
        """Images [N, C, H, W] from latents, from size to size."""
        x: Tensor | None = None
        for level, (part, size) in enumerate(zip(z.split(self.latent_dim, 1), self.sizes, strict=True)):
            x = self.at(level, part, None if x is None else resized(x, size))
        assert x is not None
        return ((1 + x) / 2).clamp(0, 1)

    def sample(self, num_samples: int, *, truncation: float | None = None) -> Tensor:
        """Images [num_samples, C, H, W]. truncation: largest magnitude of an entry of z."""
        return self.decode(self.prior(num_samples, truncation))

    def _latents(self, batch: Batch) -> Tensor:
        return batch.randn(len(self.sizes) * self.latent_dim)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `compared_samples`."""
        return compared_samples(batch["x"], self.decode(self._latents(batch)), batch)

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        return {"samples": grid_of_samples(self, self._latents(batch), self.decode)}
