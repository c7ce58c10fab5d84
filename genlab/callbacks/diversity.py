"""Detects mode collapse: pairwise distances and classes of samples, relative to those of validation images.

A collapsed generator produces a few images repeatedly. Their mean pairwise distance falls below that of real images
(the idea of minibatch features in Salimans et al. 2016, here as a plain measurement), and a classifier finds few of the
classes.

Reference: Salimans et al. 2016, Improved Techniques for Training GANs, https://arxiv.org/abs/1606.03498
"""

from collections.abc import Callable, Iterator
from itertools import permutations

import torch
from torch import Tensor

from genlab.contract.data import Batch
from genlab.contract.model import GenerativeModel
from genlab.metrics.diversity import mean_pairwise_distance
from genlab.system import distributed
from genlab.system.portions import rows_at_once
from genlab.training.inference import inference
from genlab.training.trainer import Trainer

_MIN_ENTROPY = 0.1
"""In nats; below it the data's classes are too unbalanced to compare. One image of 64 in a second class gives 0.08."""


class Diversity:
    """Draws `num_samples` images with averaged weights, by the model's `sample` (or `translate`); fewer large ones.

    classify: maps images [N, C, H, W] in [0, 1] to probabilities [N, K]; None without a classifier.
    """

    def __init__(self, num_samples: int, classify: Callable[[Tensor], Tensor | None] | None = None):
        self.num_samples, self.classify = num_samples, classify
        self.images: Batch | None = None
        self.real_entropy: float | None = None

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """diversity: mean pairwise distance of samples, divided by that of validation images (for translations: the
            smaller value of the two domains);
        class_entropy: entropy of the samples' mean class probabilities, divided by that of validation images, which
            accounts for unbalanced data and unused classes; left out if the latter is near 0, or samples not finite.

        All processes get the values of process 0, as they must act alike. The next step seeds its own noise, so these
        draws do not affect training.
        """
        if self.images is None:
            shapes = [field.shape for field in trainer.model.data.fields.values()]
            at_once = rows_at_once(*shapes, most=self.num_samples)  # all are compared with each other
            self.images = trainer.validation_loader.evenly_spaced(max(2, at_once))
        found = {}
        with inference(trainer):
            pairs = list(_generate(trainer.model, self.images))
            ratios = [_distance(fake) / expected for fake, real in pairs if (expected := _distance(real)) > 0]
            if ratios:
                found["diversity"] = min(ratios)
            if pairs and self.classify and torch.cat([fake.flatten() for fake, _ in pairs]).isfinite().all():
                if self.real_entropy is None:
                    with distributed.first_process_first():  # the classifier may be trained here
                        self.real_entropy = self._class_entropy(self.classify, [real for _, real in pairs])
                if self.real_entropy > _MIN_ENTROPY:
                    entropy = self._class_entropy(self.classify, [fake for fake, _ in pairs])
                    found["class_entropy"] = entropy / self.real_entropy
        return distributed.from_first(found)

    @staticmethod
    def _class_entropy(classify: Callable[[Tensor], Tensor | None], images: list[Tensor]) -> float:
        """Entropy in nats of the mean class probabilities; 0 if the classifier has no classes."""
        probabilities = classify(torch.cat(images))
        if probabilities is None:
            return 0.0
        return torch.special.entr(probabilities.cpu().double().mean(0)).sum().item()


def _generate(model: GenerativeModel, images: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of generated and real examples, one per domain that the model can generate; none if it cannot generate."""
    if hasattr(model, "sample"):
        yield model.sample(images.size, *model.given(model.condition(images))), images["x"]
    elif hasattr(model, "translate"):
        for domain, other in permutations(model.data.domains, 2):
            if domain in model.targets:
                yield model.translate(images[other], domain), images[domain]


def _distance(images: Tensor) -> float:
    return mean_pairwise_distance(images.float().cpu()).item()
