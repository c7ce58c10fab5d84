"""Label maps: images whose colours are classes, given by a palette; not exactly so in JPEG files."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

_NEAR = 64
"""Distance in RGB, of 255 levels each, up to which a colour is taken for a class's."""

_SHARE = 0.01
"""Of an image, from which a single colour counts: compression makes many colours, but few pixels of each."""


def read_palette(colours: Sequence[str], channels: int) -> tuple[str, ...]:
    """Colours of `dataset.palette`, as "rrggbb". `ValueError` if they are none, or the images are not of colours."""
    found = tuple(str(colour).lower().removeprefix("#") for colour in colours)
    if wrong := [colour for colour in found if not re.fullmatch("[0-9a-f]{6}", colour)]:
        raise ValueError(f"dataset.palette={wrong[0]}: give colours as six hexadecimal digits, in quotes if all are "
                         "numbers, as in [0000aa,'000055']")  # fmt: skip
    if len(set(found)) < max(2, len(found)):
        raise ValueError(f"dataset.palette={list(found)}: give two colours or more, each once")
    if channels != 3:
        raise ValueError(f"dataset.palette: needs label maps in colour, as by dataset.channels=3, not {channels}")
    return found


def rgb(palette: Sequence[str]) -> list[list[int]]:
    """[K, 3], red, green and blue in 0..255."""
    return [list(bytes.fromhex(colour)) for colour in palette]


def classes_of(x: Tensor, palette: Sequence[str]) -> Tensor:
    """The class of each pixel of label maps [N, 3, H, W] in [0, 1], by the nearest colour: int64 [N, H, W]."""
    colours = torch.tensor(rgb(palette), dtype=x.dtype, device=x.device) / 255
    # Entry by entry: a matrix product under autocast would round away what tells near colours apart.
    channels = zip(x.unbind(1), colours.unbind(1), strict=True)
    return torch.stack([(level[:, None] - own[:, None, None]).square() for level, own in channels]).sum(0).argmin(1)


def colour_without_class(image: Tensor, palette: Sequence[str]) -> str | None:
    """The most frequent colour of an image, uint8 [3, H, W], that is near none of the palette, as "rrggbb"; None if
    all of some size are."""
    pixels = image.flatten(1).T
    colours, counts = pixels.unique(dim=0, return_counts=True)
    large = colours[counts.argsort(descending=True)][: int((counts > _SHARE * len(pixels)).sum())]
    far = torch.cdist(large.float(), torch.tensor(rgb(palette)).float()).amin(1) > _NEAR
    return bytes(large[far][0].tolist()).hex() if far.any() else None
