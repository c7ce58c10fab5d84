"""Supervised translation: from each image a to its counterpart b, by least absolute error.

The mean absolute error is smallest at the median of all b that fit to an a, so what a does not tell comes out blurred.
It is the baseline that adversarial translators of pairs have to beat, and one of the terms of their loss.

Reference: Isola, Zhu, Zhou, Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks,
https://arxiv.org/abs/1611.07004 (the ablation "L1" of its section 4.2)
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.grids import in_blocks, same_channels
from genlab.metrics.reconstruction import mean_absolute_gradient
from genlab.metrics.sliced_wasserstein import sliced_wasserstein
from genlab.networks.coordinates import Coordinates, Seen
from genlab.networks.network import Network
from genlab.system.seeding import seeded

_LEAST_ERROR = 1e-10  # of an image, for a PSNR of at most 100 dB


class TranslateL1(GenerativeModel):
    """a -> G(a), trained to minimize |G(a) - b|, the mean over channels and pixels.

    network: G is its translator.
    """

    averaged = ("translator",)
    requires = frozenset({"a", "b", "pairs"})
    metrics = {"l1": "min"}
    targets = ("b",)
    style: ClassVar[dict[str, Any]] = {}
    """Options of the translator's layers."""

    noise_sizes: tuple[int, ...] = ()
    """Numbers of uniform noise, if the translator takes any."""

    def __init__(self, data: DataSpec, *, network: Network):
        super().__init__(data)
        self.from_a, self.to_b = Seen(data["a"]), Coordinates(data["b"], "signed")
        self.translator = network.translator(self.from_a.shape, data["b"].shape, **self.style)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        yield Update("model", l1_loss(self._translated(batch["a"]), batch["b"]))  # |G(a) - b|

    def generate(self, a: Tensor, *noise: Tensor) -> Tensor:
        """G(a), in [-1, 1] and the precision of a, regardless of autocast, from what networks see of a."""
        return self.to_b.squash(self.translator(a, *noise).to(a.dtype))

    def _translated(self, a: Tensor) -> Tensor:
        """The same in the units of the data, with the noise of torch's global generator where the model has any."""
        noise = [torch.rand(a.shape[0], size, dtype=a.dtype, device=a.device) for size in self.noise_sizes]
        return self.to_b.outward(self.generate(self.from_a(a), *noise))

    def translate(self, x: Tensor, to: str) -> Tensor:
        """Translate images of a [N, C, H, W] to domain b [N, C', H, W], both in [0, 1]; `to` must be "b"."""
        self.check_target(to)
        return self._translated(x)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Errors of translations, means over channels, pixels in [0, 1] and images.

        l1: mean absolute error. mse: mean squared error. psnr: of each image in dB. sharpness: mean absolute difference
        of neighbouring pixels, as a multiple of that of b; left out if b has none. sliced_wasserstein: distance between
        translations and images b, unpaired, over random projections of pixel space.
        """
        with seeded(batch.seed):  # for a translator with noise
            translation, b = self._translated(batch["a"]), batch["b"]
        squared = (translation - b).square().flatten(1).mean(1)
        psnr = -10 * squared.clamp(min=_LEAST_ERROR).log10()
        directions = batch.randn(b[0].numel())
        distance = sliced_wasserstein(translation.to(b.dtype).flatten(1), b.flatten(1), directions)
        errors = {"l1": l1_loss(translation, b), "mse": squared.mean(), "psnr": psnr.mean()}
        errors["sliced_wasserstein"] = distance
        wanted = mean_absolute_gradient(b).mean()
        return errors | ({"sharpness": mean_absolute_gradient(translation).mean() / wanted} if wanted > 0 else {})

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Rows of up to 8: images of a, their translations, and the true b."""
        with seeded(batch.seed):
            rows = same_channels(batch["a"], self._translated(batch["a"]), batch["b"])
        return {"translations": Grid(in_blocks(*rows, blocks=2), rows=("a", "a to b", "b"))}
