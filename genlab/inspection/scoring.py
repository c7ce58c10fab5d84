"""Score sets of images, find the least likely ones, and measure how well scores separate two sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genlab.inference.run import Run
from genlab.inference.scorer import MOST
from genlab.inference.scoring import METHODS
from genlab.inspection.images import Images
from genlab.media.plots import save_figure, write_label
from genlab.system.files import write_csv

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 80


@dataclass
class Scored:
    """Scores of a set of images, in order. Of the images, only the least likely are kept.

    images: what was scored, with names and labels. scores: float64 [N].
    least_likely: positions [n] of the highest scores, in descending order. shown: these images [n, C, H, W].
    """

    images: Images
    scores: Tensor
    least_likely: Tensor
    shown: Tensor

    def summary(self) -> str:
        """Mean and quantiles, in one line."""
        with np.errstate(invalid="ignore"):  # scores that are not finite
            low, quarter, median, three_quarters, high = np.quantile(self.scores.numpy(), _QUANTILES)
        return (
            f"mean {self.scores.mean():.5g}, median {median:.5g}, half in {quarter:.5g} to {three_quarters:.5g}, "
            f"90 % in {low:.5g} to {high:.5g} ({len(self.scores)} images{self.images.left_out})"
        )

    def above(self, limit: float) -> Tensor:
        """Which images are outliers: bool [N]. A score that is not a number is one."""
        return ~(self.scores <= limit)

    def write_table(self, path: Path, limit: float | None = None) -> None:
        """Write a CSV file with one line per image. limit: score above which one is an outlier."""
        columns: dict[str, list[Any]] = {"name": self.images.names}
        if self.images.labels is not None:
            columns["label"] = self.images.labels.tolist()
            if names := self.images.classes:
                columns["class"] = [names[label] for label in columns["label"]]
        columns["score"] = self.scores.tolist()
        if limit is not None:
            columns["outlier"] = self.above(limit).long().tolist()
        write_csv(path, [tuple(columns), *zip(*columns.values(), strict=True)])

    def protocol(self) -> dict[str, Any]:
        """What was scored, as plain data."""
        values = self.scores.numpy()
        return {
            "name": self.images.title,
            "origin": self.images.origin,
            "count": len(values),
            "damaged_left_out": len(self.images.skipped),
            "mean_score": values.mean().item(),
            "median_score": np.median(values).item(),
        }


def score_images(
    run: Run,
    images: Images,
    method: str,
    seed: int,
    importance_samples: int,
    shown: int,
    condition: dict[str, Any] | None = None,
) -> Scored:
    """Score examples batch by batch, with a progress bar, and keep the `shown` least likely.

    condition: values for all of them, by field; by default their own, if they are of the run's own data.
    """
    scores: list[Tensor] = []
    highest, highest_at, kept = torch.empty(0).double(), torch.empty(0).long(), torch.empty(0, *run.data.shape)
    for number, (x, own) in enumerate(images.with_conditions(f"scoring {images.title}")):
        given = run.conditioning.of_examples(len(x), condition, own)
        part = run.scorer.scores(x, method, seed, number, importance_samples, given)
        end = len(images.names)
        at = torch.arange(end - len(x), end)
        scores.append(part)
        highest, highest_at, kept = (torch.cat(pair) for pair in ((highest, part), (highest_at, at), (kept, x)))
        order = highest.argsort(descending=True, stable=True)[:shown]
        highest, highest_at, kept = highest[order], highest_at[order], kept[order]
    return Scored(images, torch.cat(scores), highest_at, kept)


def error_maps(run: Run, x: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions of images [N, C, H, W], and where they differ: the mean absolute error of each pixel over the
    channels, grey, relative to the largest of all."""
    reconstructions = run.reconstruct(x)
    errors = (x - reconstructions).abs().mean(1, keepdim=True)
    return reconstructions, (errors / errors.max().clamp(min=1e-6)).expand_as(x)


def detection_protocol(
    run: Run, method: str, seed: int, importance_samples: int, scored: Scored, other: Scored
) -> dict[str, Any]:
    """How the detection of `other` against `scored` was measured, as plain data."""
    draws = {"importance_samples": importance_samples} if METHODS[method].needs == "log_weights" else {}
    compared = {"compared_with": f"up to {MOST} training examples, evenly spaced"} if METHODS[method].compared else {}
    return {
        "method": method,
        "score": METHODS[method].meaning,
        **draws,
        **compared,
        "seed": seed,
        "run": str(run.folder),
        "model": run.config.choices.model,
        "trained_on": run.config.choices.dataset,
        "checkpoint_step": run.step,
        "weights": run.weights,
        "images": scored.protocol(),
        "against": other.protocol(),
        "positive_class": "against",
    }


def told(run: Run, images: Images, values: dict[str, Any]) -> dict[str, Any]:
    """What each field was that the scores are conditioned on, by field; empty for none."""
    given = {name: value for name, value in values.items() if value is not None}
    own = {name: "the data's own" for name in run.model.conditions if images.conditions}
    return own | given


def save_histogram(scored: Scored, other: Scored, meaning: str, auroc: float, path: Path) -> None:
    """Plot both score distributions to a PNG."""
    both = [side.scores.numpy() for side in (scored, other)]
    bins = np.histogram_bin_edges(np.concatenate(both), _BINS)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for values in both:
        fractions = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=fractions, alpha=0.6, label="of a set")
    axes.set(xlabel=f"{meaning}: less likely to the right", ylabel="fraction of images", title=f"AUROC {auroc:.4f}")
    legend = axes.legend(frameon=False)
    for place, side in zip(legend.get_texts(), (scored, other), strict=True):
        write_label(place, side.images.title, f" ({len(side.scores)})")
    save_figure(figure, path)
