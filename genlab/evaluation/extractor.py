"""The interface of feature extractors."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from genlab.system.device import computing


class Reading(NamedTuple):
    """Output of an extractor for N images.

    features: float32 [N, D]. probabilities: float32 [N, K], rows sum to 1; K is 0 if there are no classes.
    """

    features: Tensor
    probabilities: Tensor

    def cpu(self) -> "Reading":
        return Reading(self.features.cpu(), self.probabilities.cpu())


class Extractor(ABC):
    """A fixed mapping from images to features.

    identity: sha256 of what defines it. Metrics compare only if it is the same.
    description: resizing, layer and whatever else is needed to interpret the metrics.
    num_classes: K of the probabilities, 0 if there are none.
    """

    name: ClassVar[str]
    batch: ClassVar[int] = 500
    """Images per forward pass, to bound the memory."""

    identity: str
    description: str
    num_classes: int = 0
    reads_labels: bool = False
    """Whether its classes are the dataset's labels."""

    @torch.no_grad()
    def read(self, x: Tensor) -> Reading:
        """Features and probabilities of images [N, C, H, W] in [0, 1], on the extractor's device, in float32.

        `ValueError` if pixels are not finite, or the extractor does not take this shape.
        """
        if not x.isfinite().all():
            raise ValueError("the images hold values that are not finite: has the run diverged?")
        with computing(x.device, "fp32"):  # results must not depend on the caller's precision
            readings = [self._read(part.float()) for part in x.split(self.batch)]
        features, probabilities = zip(*readings, strict=True)
        return Reading(torch.cat(features), torch.cat(probabilities))

    def __call__(self, x: Tensor) -> Tensor:
        """The features alone."""
        return self.read(x).features

    def weaknesses(self) -> list[str]:
        """Why it is not to be trusted, as far as it knows itself."""
        return []

    @abstractmethod
    def _read(self, x: Tensor) -> Reading: ...
