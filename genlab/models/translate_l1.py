"""Supervised translation: from each image a to its counterpart b, by least absolute error.

The mean absolute error is smallest at the median of all b that fit to an a, so what a does not tell comes out blurred.
It is the baseline that adversarial translators of pairs have to beat, and one of the terms of their loss.

Reference: Isola, Zhu, Zhou, Efros 2017, Image-to-Image Translation with Conditional Adversarial Networks,
https://arxiv.org/abs/1611.07004 (the ablation "L1" of its section 4.2)
"""

from collections.abc import Iterator, Mapping

from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.grids import in_blocks, same_channels
from genlab.networks.coordinates import Coordinates
from genlab.networks.network import Network

_LEAST_ERROR = 1e-10  # of an image, for a PSNR of at most 100 dB


class TranslateL1(GenerativeModel):
    """a -> G(a), trained to minimize |G(a) - b|, the mean over channels and pixels.

    network: G is its translator.
    """

    averaged = ("translator",)
    requires = frozenset({"a", "b", "pairs"})
    metrics = {"l1": "min"}
    targets = ("b",)

    def __init__(self, data: DataSpec, *, network: Network):
        super().__init__(data)
        self.translator = network.translator(data["a"].shape, data["b"].shape)
        self.from_a, self.to_b = Coordinates(data["a"], "signed"), Coordinates(data["b"], "signed")

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        yield Update("model", l1_loss(self._translated(batch["a"]), batch["b"]))  # |G(a) - b|

    def _translated(self, a: Tensor) -> Tensor:
        """G(a) in the units of b and in the precision of a, regardless of autocast."""
        raw = self.translator(self.from_a.inward(a)).to(a.dtype)
        return self.to_b.outward(self.to_b.squash(raw))

    def translate(self, x: Tensor, to: str) -> Tensor:
        """Translate images of a [N, C, H, W] to domain b [N, C', H, W], both in [0, 1]; `to` must be "b"."""
        if to not in self.targets:
            raise ValueError(f"to={to}: this model translates a to b, not back; give to=b")
        return self._translated(x)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Errors of translations, means over channels, pixels in [0, 1] and images.

        l1: mean absolute error. mse: mean squared error. psnr: of each image in dB.
        """
        translation, b = self._translated(batch["a"]), batch["b"]
        squared = (translation - b).square().flatten(1).mean(1)
        psnr = -10 * squared.clamp(min=_LEAST_ERROR).log10()
        return {"l1": l1_loss(translation, b), "mse": squared.mean(), "psnr": psnr.mean()}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Rows of up to 8: images of a, their translations, and the true b."""
        rows = same_channels(batch["a"], self._translated(batch["a"]), batch["b"])
        return {"translations": Grid(in_blocks(*rows, blocks=2), rows=("a", "a to b", "b"))}
