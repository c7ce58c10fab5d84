"""Images as a kind of data."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from genlab.contract.model import Grid
from genlab.media.grids import frames, in_blocks, to_png, wrap
from genlab.media.images import Png, save_gif, save_image, to_uint8
from genlab.media.kind import Scene, Shown
from genlab.media.metadata import Origin


class Image(Shown):
    """Images [C, H, W]: stored as uint8, modelled in [0, 1], shown as grids, written as PNG."""

    plural: ClassVar[str] = "images"
    bounds = (0.0, 1.0)
    levels = 256
    extractors = ("classifier", "random-conv", "pixels", "inception")
    axes = 3
    suffix = ".png"

    def floats(self, stored: Tensor, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
        return stored.to(dtype, memory_format=layout).mul_(1 / 255)

    def array(self, x: Tensor) -> np.ndarray:
        return to_uint8(x)

    def picture(
        self,
        shown: Tensor | Grid,
        origin: Origin | None = None,
        scene: Scene | None = None,
        connected: bool = False,
    ) -> Png:
        return to_png(shown, origin)

    def arranged(self, x: Tensor, columns: int | None = None) -> Tensor:
        """Empty cells are grey."""
        return wrap(x, columns)

    def beside(self, x: Tensor, y: Tensor) -> Grid:
        """Rows of x, each above the row of their counterparts in y."""
        return Grid(in_blocks(x, y), rows=("original", "reconstruction"))

    def thumbnails(self, x: Tensor) -> Tensor | None:
        """Padded with black, and averaged to at most 64 pixels per side."""
        height, width = x.shape[-2:]
        side = max(height, width)
        return adaptive_avg_pool2d(pad(self.upright(x), (0, side - width, 0, side - height)), min(side, 64))

    def save_animation(self, rows: Tensor, path: Path, origin: Origin | None = None) -> None:
        save_gif(frames(self.upright(rows)), path, origin)

    def save_each(self, x: Tensor, paths: Sequence[Path], origin: Origin | None = None) -> None:
        for pixels, path in zip(to_uint8(x), paths, strict=True):
            self.save_stored(pixels, path, origin)

    def save_stored(self, stored: np.ndarray, path: Path, origin: Origin | None = None) -> None:
        save_image(stored, path, origin)

    def augment(self, x: Tensor, flipped: Tensor | None, shifts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Flipped horizontally; shifted by whole pixels, with edge padding."""
        if flipped is not None:
            x = torch.where(flipped[:, None, None, None], x.flip(-1), x)
        return x if shifts is None else _shifted(x, *shifts)


def _shifted(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift each image of x [N, C, H, W] by its own `down` and `right` [N] pixels."""
    _, channels, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) - right[:, None]).clamp(0, width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    return x.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view_as(x)
