"""What translators that learn from unpaired images have in common: losses of patches, scores and previews."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch
from genlab.contract.model import GenerativeModel, Grid
from genlab.losses.adversarial import accuracy, discriminator_loss, generator_loss
from genlab.media.grids import same_channels
from genlab.metrics.sliced_wasserstein import sliced_wasserstein


def generator_loss_of_patches(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """(D(fake) - 1)^2 (Zhu et al. 2017, who halve the discriminators' loss but not the generators')."""
    return 2 * generator_loss("least-squares", _logits(discriminator, fake))


def discriminator_loss_of_patches(discriminator: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """((D(real) - 1)^2 + D(fake)^2) / 2, and the fraction of patches classified correctly."""
    on_real, on_fake = _logits(discriminator, torch.cat([real, fake])).chunk(2)
    return discriminator_loss("least-squares", on_real, on_fake), accuracy("least-squares", on_real, on_fake)


def _logits(discriminator: nn.Module, x: Tensor) -> Tensor:
    """Logits [N, 1, h, w] in the weights' precision, regardless of autocast."""
    return discriminator(x).to(next(discriminator.parameters()).dtype)


class UnpairedTranslator(GenerativeModel):
    """Translates a to b and, if its `targets` say so, b to a."""

    requires = frozenset({"a", "b"})
    # The cycle error cannot rank models: generators that change nothing have none.
    metrics = {
        "paired_error": "min",
        "paired_error/a": "min",
        "paired_error/b": "min",
        "sliced_wasserstein": "min",
    }

    def generate(self, x: Tensor, to: str) -> Tensor:
        """Translations to domain `to`, one of the `targets`: both [N, C, H, W] in [-1, 1]."""
        raise NotImplementedError

    def translate(self, x: Tensor, to: str) -> Tensor:
        """Translations of images of the other domain to domain `to`: both [N, C, H, W] in [0, 1]."""
        self.check_target(to)
        return (self.generate(2 * x - 1, to) + 1) / 2

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Errors are mean absolute differences of pixels in [0, 1].

        cycle_error: between images and their cycles, mean of both directions; left out if there is one direction.
        paired_error/a, paired_error/b: between the translation of a (or b) and its ground truth, if the batch holds
            it and a and b have one shape, relative to the error of the untranslated image: 1 is no better than no
            translation.
        sliced_wasserstein: distance in pixel space between translations and real images, mean of the directions.
        """
        scores, cycle_errors, distances = {}, [], []
        projections = batch.randn(max(batch[domain][0].numel() for domain in ("a", "b")))
        for domain, other in self.directions:
            x, truth = batch[domain], f"{domain}_as_{other}"
            translation = self.translate(x, other)
            if domain in self.targets:
                cycle_errors.append(l1_loss(self.translate(translation, domain), x))
            translated, wanted = translation.to(x.dtype).flatten(1), batch[other].flatten(1)
            distances.append(sliced_wasserstein(translated, wanted, projections[:, : wanted.shape[1]]))
            comparable = truth in batch and batch[truth].shape == x.shape
            if comparable and (untouched := l1_loss(x, batch[truth])) > 0:  # 0 if the domains are alike
                scores[f"paired_error/{domain}"] = l1_loss(translation, batch[truth]) / untouched
        if scores:
            scores = {"paired_error": torch.stack(list(scores.values())).mean(), **scores}
        scores["sliced_wasserstein"] = torch.stack(distances).mean()
        return ({"cycle_error": torch.stack(cycle_errors).mean()} if cycle_errors else {}) | scores

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """For each direction rows of up to 8: images, their translations and, with both directions, their cycles."""
        batch, rows, names = batch.head(8), [], []
        for domain, other in self.directions:
            translation = self.translate(batch[domain], other)
            rows += [batch[domain], translation]
            names += [domain, f"{domain} to {other}"]
            if domain in self.targets:
                rows.append(self.translate(translation, domain))
                names.append(f"back to {domain}")
        return {"translations": Grid(torch.stack(same_channels(*rows)), rows=names)}
