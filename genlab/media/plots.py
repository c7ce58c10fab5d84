"""Latents as points in two dimensions: principal components or t-SNE, coloured by class.

References:
- Pearson 1901, On Lines and Planes of Closest Fit to Systems of Points in Space, https://doi.org/10.1080/14786440109462720
- van der Maaten and Hinton 2008, Visualizing Data using t-SNE, https://jmlr.org/papers/v9/vandermaaten08a.html
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genlab.system.seeding import mix
from genlab.system.text import shortened

TSNE_LIMIT = 5000
"""Maximum number of points for t-SNE: its run time grows superlinearly, and more points would overlap."""

_PERPLEXITY = 30
_LEGEND = 20  # maximum number of classes in a legend
_ENTRY, _TITLE = 24, 70  # letters of a name in a legend beside the plot, which takes its room, and in a title


@dataclass
class Projection:
    """Points [n, 2], the rows [n] of their latents, and the labels of the two axes."""

    points: np.ndarray
    rows: np.ndarray
    axes: tuple[str, str]


def project(latents: np.ndarray, plot: str, seed: int = 0) -> Projection:
    """Latents [N, L] in two dimensions; `plot`: "pca", or "tsne", which depends on `seed`.

    `ValueError` if N < 3 or L < 2.
    """
    count, size = latents.shape
    if count < 3 or size < 2:
        raise ValueError(f"plot={plot}: needs 3 images and 2 latents, here are {count} and {size}")
    return _principal_components(latents) if plot == "pca" else _tsne(latents, seed)


def _principal_components(latents: np.ndarray) -> Projection:
    from sklearn.decomposition import PCA

    latents = latents.astype(np.float64)
    with np.errstate(invalid="ignore"):  # identical latents have no variance to explain
        model = PCA(2, svd_solver="full").fit(latents)
    names = ["component 1", "component 2"]
    if np.isfinite(ratios := model.explained_variance_ratio_).all():
        names = [f"{name}: {ratio:.1%} of the variance" for name, ratio in zip(names, ratios, strict=True)]
    return Projection(model.transform(latents), np.arange(len(latents)), (names[0], names[1]))


def _tsne(latents: np.ndarray, seed: int) -> Projection:
    from sklearn.manifold import TSNE

    random = np.random.default_rng(mix(seed))
    rows = np.sort(random.permutation(len(latents))[:TSNE_LIMIT])
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=mix(seed) % 2**32)
    points = model.fit_transform(latents[rows].astype(np.float64))
    return Projection(points, rows, (f"t-SNE 1, perplexity {perplexity:g}", "t-SNE 2"))


def save_scatter(
    projection: Projection, labels: Tensor | None, title: str, path: Path, names: Sequence[str] = ()
) -> None:
    """Write the points as a PNG, coloured by `labels` [N] of all latents, if any. names: of the classes, if known."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), dpi=120, layout="constrained")
    axes = figure.subplots()
    style = {"s": float(np.clip(20000 / len(projection.points), 3, 30)), "alpha": 0.8, "linewidths": 0}
    if labels is None:
        axes.scatter(*projection.points.T, color="tab:blue", **style)
    else:
        classes, own = np.unique(labels), np.asarray(labels)[projection.rows]
        if len(classes) <= _LEGEND:
            colours = colormaps["tab10" if len(classes) <= 10 else "tab20"].colors
            for colour, label in zip(colours, classes, strict=False):
                axes.scatter(*projection.points[own == label].T, color=colour, label="of a class", **style)
            legend = axes.legend(title="label", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
            for handle, text, label in zip(legend.legend_handles, legend.get_texts(), classes, strict=True):
                handle.set_sizes([40])
                write_label(text, f"{label} {names[label]}" if names else str(label), letters=_ENTRY)
        else:
            points = axes.scatter(*projection.points.T, c=own, cmap="viridis", **style)
            figure.colorbar(points, label="label")
    axes.set(xlabel=projection.axes[0], ylabel=projection.axes[1])
    write_label(axes.title, title)
    save_figure(figure, path)


def write_label(place: Any, name: str, more: str = "", letters: int = _TITLE) -> None:
    """Write `name`, a text of the user, and after it `more` to a `Text` of matplotlib: a title, or a legend's entry.

    `$` starts no formula, control characters do nothing, and a name of more than so many `letters` is cut.
    """
    place.set_parse_math(False)
    place.set_text(shortened(name, letters) + more)


def save_figure(figure: Any, path: Path) -> None:
    """Write a `Figure` as a PNG. A letter that the font has not becomes a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path)
