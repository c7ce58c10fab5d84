"""Points [D] in the data's units, shown as plots: densities on a line, scatter in the plane.

Points of more than two dimensions are shown in the plane of the first two principal components of the data. The axes
depend on the data alone, so that plots of all steps of a run can follow each other in an animation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import Field
from genlab.contract.model import Grid
from genlab.media.images import Png, encode, save_gif
from genlab.media.kind import Scene, Shown, parse_numbers
from genlab.media.metadata import Origin
from genlab.media.point_plots import Plane, connect, draw_line, draw_plane, new_figure, pixels_of

_PATHS = 100  # from points to their counterparts


class Points(Shown):
    """Points: real numbers without bounds."""

    plural = "points"
    extractors = ("values",)
    has_scene = True
    previewed = 2500

    def parse(self, field: Field, value: Any) -> Tensor:
        return parse_numbers(field, value)

    def array(self, x: Tensor) -> np.ndarray:
        return x.detach().cpu().float().numpy()

    def picture(
        self,
        shown: Tensor | Grid,
        origin: Origin | None = None,
        scene: Scene | None = None,
        connected: bool = False,
    ) -> Png:
        """Points [rows, columns, D] over the data, see `point_plots`; the sizes are those of `new_figure`.

        connected: each row is a path, drawn as a line of its own colour that starts at a circle; a legend has the names
        of rows, if each has one of its own.
        """
        grid = Grid.of(shown)
        rows, scene = grid.examples.detach().cpu().float(), scene or Scene(shown="")
        plane = Plane.of(rows.flatten(0, 1) if scene.real is None else scene.real)
        with torch.no_grad():
            if connected:
                figure = new_figure("line" if rows.shape[-1] == 1 else "plane")
                connect(figure.subplots(), rows, plane, scene, names=grid.rows)
            elif rows.shape[-1] == 1:
                figure = new_figure("line")
                draw_line(figure, rows.flatten(), plane, scene)
            else:
                figure = new_figure("plane" if scene.score is None or rows.shape[-1] > 2 else "wide")
                draw_plane(figure, rows.flatten(0, 1), plane, scene)
        return encode(pixels_of(figure), origin)

    def arranged(self, x: Tensor, columns: int | None = None) -> Tensor:
        """One row."""
        return x[None]

    def beside(self, x: Tensor, y: Tensor) -> Grid:
        """Paths from points of x to those of y, [paths, 2, D]; of at most `_PATHS` of them, evenly spaced."""
        rows = torch.linspace(0, len(x) - 1, min(_PATHS, len(x))).round().long()
        return Grid(torch.stack([x[rows], y[rows]], 1))

    def save_animation(self, rows: Tensor, path: Path, origin: Origin | None = None) -> None:
        """Paths [rows, steps, D] as a GIF in which they grow."""
        rows = rows.detach().cpu().float()
        plane, frames = Plane.of(rows.flatten(0, 1)), []
        for step in range(1, rows.shape[1] + 1):
            figure = new_figure("line" if rows.shape[-1] == 1 else "plane")
            connect(figure.subplots(), rows, plane, Scene(), step)
            frames.append(torch.from_numpy(pixels_of(figure)).permute(2, 0, 1) / 255)
        save_gif(frames, path, origin)

    def save_each(self, x: Tensor, paths: Sequence[Path], origin: Origin | None = None) -> None:
        raise ValueError("points are written as one array, not as a file each; give format=npz")

    def check_augmentation(self, flip: bool, shift: int) -> None:
        if flip or shift:
            given = "loader.flip=true" if flip else f"loader.shift={shift}"
            raise ValueError(f"{given}: means nothing for points; set loader.flip=false loader.shift=0")
