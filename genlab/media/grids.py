"""Grids of images: from tensors to one image, to PNG files and to the frames of an animation."""

from math import ceil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from genlab.contract.model import Grid
from genlab.media.captions import Layout, with_captions
from genlab.media.images import Png, encode, to_uint8
from genlab.media.metadata import Origin

_LINE = 0.5
"""Grey level of the lines between images and of empty cells."""

_SIDE, _CAPTIONED_SIDE = 720, 1440
"""Maximum side of a grid, in pixels, up to which images are enlarged by integer factors; and where names need room."""

_WIDTH = 2
"""Line width in pixels."""

_COLUMNS = 8
"""Default number of images per row."""


def tile(images: Tensor, scale: int = 1) -> Tensor:
    """Tile images [rows, columns, C, H, W] in [0, 1] to one image [C, H', W'], with grey lines between them.

    scale: integer factor by which images are enlarged, and lines are not.

    torchvision's `make_grid` would do, but importing it takes longer than hundreds of steps of a small network.
    """
    images = images.repeat_interleave(scale, -1).repeat_interleave(scale, -2) if scale > 1 else images
    rows, columns, channels, height, width = images.shape
    framed = pad(images.clamp(0, 1), (_WIDTH, 0, _WIDTH, 0), value=_LINE)  # each with the lines above and to the left
    image = framed.permute(2, 0, 3, 1, 4).reshape(channels, rows * (height + _WIDTH), columns * (width + _WIDTH))
    return pad(image, (0, _WIDTH, 0, _WIDTH), value=_LINE)


def wrap(images: Tensor, columns: int | None = _COLUMNS) -> Tensor:
    """Arrange images [N, C, H, W] in rows of at most `columns`: [rows, columns, C, H, W]; empty cells are grey.

    columns: None for about as many as rows.
    """
    columns = min(columns or ceil(len(images) ** 0.5), len(images))
    gaps = images.new_full((-len(images) % columns, *images.shape[1:]), _LINE)
    return torch.cat([images, gaps]).unflatten(0, (-1, columns))


def in_blocks(*kinds: Tensor, columns: int = _COLUMNS, blocks: int = 4) -> Tensor:
    """Interleave the rows of `kinds`: a row of the first, below it the same row of the second, and so on.

    kinds: images [N, C, H, W] each; images beyond `blocks` are dropped. Returns [rows, columns, C, H, W].
    """
    return torch.stack([wrap(kind[: blocks * columns], columns) for kind in kinds], 1).flatten(0, 1)


def same_channels(*images: Tensor) -> tuple[Tensor, ...]:
    """Images [N, C, H, W], grey ones repeated to the channels of the others, so that they fit into one grid."""
    most = max(image.shape[1] for image in images)
    return tuple(image.expand(-1, most, -1, -1) if image.shape[1] == 1 else image for image in images)


def frames(images: Tensor) -> list[Tensor]:
    """Rows [rows, steps, C, H, W] in [0, 1] as frames of an animation: one image of all rows per step."""
    channels = images.shape[2]  # grey stays grey, so a palette of 256 colours holds every level
    columns = ceil(len(images) / ceil(len(images) / _COLUMNS))  # 10 rows become 5 and 5, not 8 and 2
    rows = [wrap(step, columns) for step in images.unbind(1)]
    return [tile(row, _scale(row))[:channels] for row in rows]


def _scale(images: Tensor, side: int = _SIDE) -> int:
    """The largest integer factor by which the grid of images [rows, columns, C, H, W] fits into `side`, at least 1."""
    sizes = zip(images.shape[:2], images.shape[-2:], strict=True)
    return max(1, min((side - _WIDTH - count * _WIDTH) // (count * length) for count, length in sizes))


def to_png(shown: Tensor | Grid, origin: Origin | None = None) -> Png:
    """Images [rows, columns, C, H, W] in [0, 1] as one PNG with their names, if any; small images are enlarged by an
    integer factor, further where their names need the room.

    origin: metadata of the file; None for none.
    """
    grid = Grid.of(shown)
    images = grid.examples.float().cpu()
    least, most = _scale(images), _scale(images, _CAPTIONED_SIDE)
    for scale in (*range(least, most + 1), least):  # where nothing fits, names are cut
        height, width = (scale * side + _WIDTH for side in images.shape[-2:])
        if (layout := Layout.of(grid, height, width)).fits:
            break
    pixels = to_uint8(tile(images, scale)[None])[0]
    return encode(with_captions(pixels, layout, height, width), origin)


def save_png(shown: Tensor | Grid, path: Path, origin: Origin | None = None) -> None:
    """Write images [rows, columns, C, H, W] in [0, 1] as one PNG, see `to_png`."""
    path.write_bytes(to_png(shown, origin).content)
