"""Plots of points: densities on a line, scatter in a plane, paths, and the field of a discriminator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from genlab.media.kind import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA, LIGHT, GENERATED, DISCRIMINATOR = "0.45", "0.8", "tab:orange", "tab:blue"
"""Colours: greys for the data."""

_DPI = 100
_SIZES = {"line": (6.4, 4.8), "plane": (5.2, 4.8), "wide": (9.6, 4.8)}  # inches
_MARGIN = 0.2  # of the axes on each side, as a fraction of the range of the data
_ROBUST = 0.005  # fraction of the data on each side that may lie outside
_CELLS = 200  # of a field, along each axis
_SHOWN = 2000  # points of the data, at most
_PLACES = 600  # of a curve
_ROOM = 1.45  # height of the axes, as a multiple of the largest density of the data


@dataclass(frozen=True)
class Plane:
    """What is shown of points [N, D]: themselves if D is 1 or 2, else their first two principal components.

    centre: [D]; directions: [D, 1 or 2], orthonormal. low, high: ends of each axis. names: of the axes.
    """

    centre: Tensor
    directions: Tensor
    low: list[float]
    high: list[float]
    names: list[str]

    @classmethod
    def of(cls, points: Tensor) -> "Plane":
        """The plane of points [N, D], with axes that hold nearly all of them."""
        points = points.detach().cpu().double()
        size = points.shape[1]
        centre, directions = torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
        names = ["x"] if size == 1 else ["$x_1$", "$x_2$"]
        if size > 2:
            centre = points.mean(0)
            variances, vectors = torch.linalg.eigh((points - centre).T.cov(correction=0))
            directions = vectors[:, [-1, -2]]
            # The sign of a principal component is arbitrary: the largest entry is made positive.
            directions = directions * directions.gather(0, directions.abs().argmax(0)[None]).sign()
            names = [f"principal component {n} of the data" for n in (1, 2)]
            if (total := variances.sum()) > 0:
                ratios = (variances[[-1, -2]] / total).tolist()
                names = [f"{name} ({ratio:.0%} of the variance)" for name, ratio in zip(names, ratios, strict=True)]
        plane = cls(centre, directions, [], [], names)
        ends = torch.quantile(
            plane.shown(points)[: 10**6], torch.tensor([_ROBUST, 1 - _ROBUST], dtype=torch.float64), 0
        )
        span = ends[1] - ends[0]
        margin = _MARGIN * torch.where(span > 0, span, 1.0)
        return cls(centre, directions, (ends[0] - margin).tolist(), (ends[1] + margin).tolist(), names)

    def shown(self, points: Tensor) -> Tensor:
        """Coordinates [..., 1 or 2] of points [..., D]."""
        return (points.detach().cpu().double() - self.centre) @ self.directions

    def outside(self, shown: Tensor) -> int:
        """How many of the coordinates [N, 1 or 2] are beyond the axes."""
        inside = (shown >= torch.tensor(self.low)) & (shown <= torch.tensor(self.high))
        return int((~inside.all(1)).sum())

    def grid(self) -> Tensor:
        """Centres of cells that cover the axes, row by row from below: [cells^2, 2]."""
        sides = [
            low + (high - low) * (torch.arange(_CELLS) + 0.5) / _CELLS
            for low, high in zip(self.low, self.high, strict=True)
        ]
        return torch.cartesian_prod(*sides[::-1]).flip(1).to(torch.get_default_dtype())

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(left, right, bottom, top)."""
        return self.low[0], self.high[0], self.low[1], self.high[1]


def new_figure(shape: Literal["line", "plane", "wide"]) -> "Figure":
    """An empty figure: for the line 640 x 480 pixels, for the plane 520 x 480, for two planes 960 x 480."""
    from matplotlib.figure import Figure  # takes half a second to import

    return Figure(figsize=_SIZES[shape], dpi=_DPI, layout="constrained")


def pixels_of(figure: "Figure") -> np.ndarray:
    """The figure as uint8 [H, W, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def draw_line(figure: "Figure", samples: Tensor, plane: Plane, scene: Scene) -> None:
    """The densities of data and samples [N], and above them the discriminator, see `_judged`."""
    places = torch.linspace(plane.low[0], plane.high[0], _PLACES)
    if scene.score is None:
        below = figure.subplots()
    else:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.6))
        judged, name = _judged(scene.score, scene.boundary, places[:, None])
        if scene.boundary is not None:
            above.axhline(0.5, color="0.7", linewidth=1, linestyle="--")
        above.plot(places, judged, color=DISCRIMINATOR)
        above.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), ylabel=name)
    height = 0.0
    if scene.log_density is not None:
        density = scene.log_density(places[:, None]).exp()
        height = density.max().item()
        below.plot(places, density, color="black", linewidth=1.5, label="data: exact density", zorder=3)
    elif scene.real is not None:
        height = float(_histogram(below, plane.shown(scene.real).flatten(), plane, DATA, "data").max())
    _histogram(below, samples, plane, GENERATED, f"{scene.shown} points{_beyond(plane, samples[:, None])}".strip())
    below.set(xlim=(plane.low[0], plane.high[0]), xlabel=plane.names[0], ylabel="density")
    if height:
        below.set_ylim(0, _ROOM * height)
    figure.legend(loc="outside upper center", frameon=False, ncols=2)


def _histogram(axes: "Axes", points: Tensor, plane: Plane, colour: str, label: str) -> np.ndarray:
    """Draw the histogram of points [N] as a density, and return its heights."""
    bins = int(np.clip(2 * len(points) ** 0.5, 20, 100))
    heights, edges = np.histogram(points, bins, (plane.low[0], plane.high[0]))
    heights = heights / (len(points) * (edges[1] - edges[0]))  # points beyond the axes count as well
    axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35)
    axes.stairs(heights, edges, color=colour, label=label)
    return heights


def draw_plane(figure: "Figure", samples: Tensor, plane: Plane, scene: Scene) -> None:
    """Samples [N, D] over the data, and beside it the discriminator, see `_judged`."""
    shown = plane.shown(samples)
    if scene.score is not None and samples.shape[1] == 2:
        axes, field = figure.subplots(1, 2, sharex=True, sharey=True)
        judged, name = _judged(scene.score, scene.boundary, plane.grid())
        cells = judged.view(_CELLS, _CELLS).numpy()
        image = field.imshow(cells, "RdBu", origin="lower", extent=plane.extent, vmin=0, vmax=1, aspect="auto")
        if scene.boundary is not None and cells.min() < 0.5 < cells.max():
            field.contour(cells, [0.5], extent=plane.extent, colors="black", linewidths=0.8)
        field.set(title=name if scene.boundary is None else f"discriminator {name}", xlabel=plane.names[0])
        figure.colorbar(image, ax=field, ticks=(0, 0.5, 1), fraction=0.05)
    else:
        axes = figure.subplots()
    draw_data(axes, plane, scene)
    size = float(np.clip(6000 / len(samples), 2, 16))
    axes.scatter(*shown.T, s=size, color=GENERATED, linewidths=0, alpha=0.8)
    over = " over the data" if scene.real is not None else ""
    what = f"{len(samples)} {scene.shown}".strip()
    axes.set(title=f"{what} points{over}{_beyond(plane, shown)}")


def _judged(score: Callable[[Tensor], Tensor], boundary: float | None, places: Tensor) -> tuple[Tensor, str]:
    """What a discriminator says of places [N, D], in [0, 1], and the name of that.

    sigma(score - boundary), where 1/2 cannot tell; without a boundary, the score scaled to its range.
    """
    found = score(places).float().cpu()
    if boundary is not None:
        return (found - boundary).sigmoid(), "D(x)"
    return (found - found.min()) / (found.max() - found.min()).clamp_min(1e-30), "critic, scaled"


def _beyond(plane: Plane, shown: Tensor) -> str:
    """A remark on points [N, 1 or 2] that the axes do not show."""
    count = plane.outside(shown)
    return f" ({count} outside)" if count else ""


def draw_data(axes: "Axes", plane: Plane, scene: Scene) -> None:
    """The data in light grey: their exact density, or else the points `scene.real`; and the axes."""
    from matplotlib.colors import PowerNorm

    if scene.log_density is not None and plane.directions.shape[0] == 2:
        density = scene.log_density(plane.grid()).exp().view(_CELLS, _CELLS).numpy()
        # The square root shows thin tails, and part of the scale keeps the grey light.
        norm = PowerNorm(0.5, 0, 6 * max(float(density.max()), 1e-30))
        axes.imshow(density, "Greys", norm=norm, origin="lower", extent=plane.extent, aspect="auto")
    elif scene.real is not None:
        rows = torch.linspace(0, len(scene.real) - 1, min(_SHOWN, len(scene.real))).round().long()
        axes.scatter(*plane.shown(scene.real[rows]).T, s=8, color=LIGHT, linewidths=0)
    axes.set(xlim=plane.extent[:2], ylim=plane.extent[2:], xlabel=plane.names[0], ylabel=plane.names[1])


def connect(
    axes: "Axes", rows: Tensor, plane: Plane, scene: Scene, steps: int | None = None, names: Sequence[str] = ()
) -> None:
    """Paths [rows, steps, D] over the data, a colour each, from a circle to a dot; only the first `steps` of them.

    names: for the legend, one for each path; none if they are fewer.

    On the line, the steps are the second axis.
    """
    from matplotlib import colormaps

    paths = plane.shown(rows)
    if rows.shape[-1] == 1:
        paths = torch.stack([paths[..., 0], torch.arange(rows.shape[1]).expand(rows.shape[:2])], -1)
        axes.set(
            xlim=(plane.low[0], plane.high[0]), ylim=(-0.5, rows.shape[1] - 0.5), xlabel=plane.names[0], ylabel="step"
        )
    else:
        draw_data(axes, plane, scene)
    colours = colormaps["tab10"].colors
    for number, path in enumerate(paths[:, :steps]):
        colour = colours[number % len(colours)]
        label = names[number].replace("\n", ", ") if len(names) == len(paths) else None
        axes.plot(*path.T, color=colour, marker=".", markersize=3, linewidth=1, label=label)
        axes.plot(*path[0], color=colour, marker="o", markersize=7, markerfacecolor="none")
        axes.plot(*path[-1], color=colour, marker="o", markersize=5)
    if len(names) == len(paths):
        axes.legend(fontsize="small")
