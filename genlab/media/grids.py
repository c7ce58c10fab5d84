"""Grids of images: from tensors to one image, to PNG files and to the frames of an animation."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from genlab.media.captions import with_captions
from genlab.media.images import Png, encode, to_uint8
from genlab.media.metadata import Origin

_LINE = 0.5
"""Grey level of the lines between images and of empty cells."""

_SIDE = 720
"""Maximum side, in pixels, up to which images are enlarged by integer factors."""

_WIDTH = 2
"""Line width in pixels."""

_COLUMNS = 8
"""Default number of images per row."""


def tile(images: Tensor) -> Tensor:
    """Tile images [rows, columns, C, H, W] in [0, 1] to one image [C, H', W'], with grey lines between them.

    torchvision's `make_grid` would do, but importing it takes longer than hundreds of steps of a small network.
    """
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
    tiled = (tile(wrap(step, columns))[:channels] for step in images.unbind(1))
    return [image.repeat_interleave(_scale(image), -1).repeat_interleave(_scale(image), -2) for image in tiled]


def _scale(image: Tensor) -> int:
    """The largest integer factor by which an image [C, H, W] fits into `_SIDE`, at least 1."""
    return max(1, _SIDE // max(image.shape[-2:]))


def to_png(images: Tensor, origin: Origin | None = None, captions: Sequence[str] = ()) -> Png:
    """Images [rows, columns, C, H, W] in [0, 1] as one PNG; small images are enlarged by an integer factor.

    origin: metadata of the file; None for none. captions: of the first images, in reading order.
    """
    image = tile(images.float().cpu())
    pixels, scale = to_uint8(image[None])[0], _scale(image)
    if captions:
        large = pixels.repeat(scale, 0).repeat(scale, 1)
        height, width = (scale * (side + _WIDTH) for side in images.shape[-2:])
        return encode(with_captions(large, captions, height, width), origin)
    return encode(pixels, origin, scale)


def save_png(images: Tensor, path: Path, origin: Origin | None = None) -> None:
    """Write images [rows, columns, C, H, W] in [0, 1] as one PNG, see `to_png`."""
    path.write_bytes(to_png(images, origin).content)
