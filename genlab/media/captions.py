"""Captions below the cells of a grid of images, such as the names of classes."""

from collections.abc import Sequence

import numpy as np

_BAR, _FONT = 16, 12  # pixels
_GREY, _WHITE = 128, 255


def with_captions(grid: np.ndarray, captions: Sequence[str], height: int, width: int) -> np.ndarray:
    """A grid uint8 [H, W, C] with a bar below each of its rows that holds the captions of its cells, in reading order.

    height, width: of a cell, with one of the lines around it, in pixels. Letters that the font does not have are shown
    as "?", and long texts are cut.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows, columns = grid.shape[0] // height, grid.shape[1] // width
    bar = np.full((_BAR, *grid.shape[1:]), _GREY, np.uint8)
    parts = [part for row in range(rows) for part in (grid[row * height : (row + 1) * height], bar)]
    whole = np.concatenate([*parts, grid[rows * height :]])
    image = Image.fromarray(whole.squeeze(2) if whole.shape[2] == 1 else whole)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(_FONT)
    for place, caption in enumerate(captions[: rows * columns]):
        row, column = divmod(place, columns)
        text = caption.encode("latin-1", "replace").decode("latin-1")
        while text and font.getlength(text) > width - 2:
            text = text[:-1]
        below = (column * width + 2, (row + 1) * (height + _BAR) - _BAR)
        draw.text(below, text, fill=(_WHITE,) * whole.shape[2], font=font)
    return np.asarray(image).reshape(whole.shape)
