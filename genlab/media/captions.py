"""Captions of a grid of images: names of its rows, of its columns and of single cells, in letters that fit."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from genlab.contract.model import Grid

_FONTS = (13, 12, 11, 10, 9)
"""Sizes of letters in pixels; the largest that fits is taken, the same for all names of a side."""

_LINES = 2  # of a name, at most
_PAD = 4  # pixels around a name
_LONGEST = 180  # pixels, at most, that the names of rows take
_SPACE, _BREAKS = 255, re.compile(r"(?<=[-/_ ])")
_INK = 0


class Names(NamedTuple):
    """Names as they are written: lines of each, and the size of their letters. fit: whether none is cut."""

    lines: list[list[str]]
    size: int
    fit: bool

    @property
    def height(self) -> int:
        """Of the highest name, with space around it, in pixels; 0 without names."""
        most = max(map(len, self.lines), default=0)
        return most * _line(self.size) + _PAD if most else 0

    @property
    def width(self) -> int:
        """Of the longest line, with space around it, in pixels; 0 without names."""
        longest = max((_font(self.size).getlength(line) for lines in self.lines for line in lines), default=0)
        return int(longest) + 2 * _PAD if longest else 0


class Layout(NamedTuple):
    """The names of a grid whose cells have one size."""

    rows: Names
    columns: Names
    cells: Names

    @classmethod
    def of(cls, grid: Grid, height: int, width: int) -> "Layout":
        """Names for cells of `height` and `width`, lines between them included, in pixels."""
        tall, count = (height - _PAD) // _line(_FONTS[-1]), grid.examples.shape[:2]
        return cls(
            _fitted(_each(grid.rows, count[0]), _LONGEST, min(_LINES, max(1, tall)), height),
            _fitted(_each(grid.columns, count[1]), width, _LINES),
            _fitted(grid.cells[: count[0] * count[1]], width, _LINES),
        )

    @property
    def fits(self) -> bool:
        return self.rows.fit and self.columns.fit and self.cells.fit


def with_captions(image: np.ndarray, layout: Layout, height: int, width: int) -> np.ndarray:
    """A grid uint8 [H, W, C] with the names of its columns above it, those of its rows to the left, and those of its
    cells in a bar below each row. height, width: of a cell, with one of the lines around it, in pixels.

    Letters that the font does not have are shown as "?".
    """
    from PIL import Image, ImageDraw

    bar, left, above = layout.cells.height, layout.rows.width, layout.columns.height
    rows, columns = image.shape[0] // height, image.shape[1] // width
    gap = np.full((bar, *image.shape[1:]), _SPACE, np.uint8)
    parts = [part for row in range(rows) for part in (image[row * height : (row + 1) * height], gap)]
    whole = np.concatenate([*parts, image[rows * height :]])
    whole = np.pad(whole, ((above, 0), (left, 0), (0, 0)), constant_values=_SPACE)
    drawn = Image.fromarray(whole.squeeze(2) if whole.shape[2] == 1 else whole)
    draw = ImageDraw.Draw(drawn)
    for row, lines in enumerate(layout.rows.lines):
        _write(draw, lines, layout.rows.size, left - _PAD, above + (row + 0.5) * height + row * bar, "rm")
    for column, lines in enumerate(layout.columns.lines):
        _write(draw, lines, layout.columns.size, left + (column + 0.5) * width, above / 2, "mm")
    for place, lines in enumerate(layout.cells.lines):
        row, column = divmod(place, columns)
        below = above + (row + 1) * (height + bar) - bar / 2
        _write(draw, lines, layout.cells.size, left + (column + 0.5) * width, below, "mm")
    return np.asarray(drawn).reshape(whole.shape)


def _write(draw: Any, lines: list[str], size: int, x: float, y: float, anchor: str) -> None:
    """Lines of text around `y`, each anchored at `x`."""
    for number, line in enumerate(lines):
        place = (x, y + (number - (len(lines) - 1) / 2) * _line(size))
        draw.text(place, line, fill=_INK, font=_font(size), anchor=anchor)


def _each(names: Sequence[str], count: int) -> list[str]:
    """A name for each of `count` rows or columns, repeated in turn; none if there are none."""
    return [names[number % len(names)] for number in range(count)] if names else []


def _fitted(names: Sequence[str], width: int, most: int, height: int | None = None) -> Names:
    """Names in letters as large as fit into `width`, and `height` if given, in at most so many lines; else cut."""
    for size in _FONTS:
        broken = {name: _broken(name, size, width) for name in set(names)}
        deep = max(map(len, broken.values()), default=0)
        high = height is None or deep * _line(size) <= height
        if high and deep <= most and all(_is_within(line, size, width) for lines in broken.values() for line in lines):
            return Names([broken[name] for name in names], size, True)
    cut = {name: [_cut(line, _FONTS[-1], width) for line in lines[:most]] for name, lines in broken.items()}
    return Names([cut[name] for name in names], _FONTS[-1], False)


def _broken(name: str, size: int, width: int) -> list[str]:
    """The lines of a name: its own, each broken between words where it is longer than `width`."""
    lines = []
    for line in name.split("\n"):
        text = ""
        for word in _BREAKS.split(line.encode("latin-1", "replace").decode("latin-1")):
            if text and not _is_within((text + word).rstrip(), size, width):
                lines.append(text.rstrip())
                text = ""
            text += word
        lines.append(text.rstrip())
    return lines


def _is_within(line: str, size: int, width: int) -> bool:
    return _font(size).getlength(line) <= width - _PAD


def _cut(line: str, size: int, width: int) -> str:
    if _is_within(line, size, width):
        return line
    shown = bisect_left(range(len(line)), True, key=lambda count: not _is_within(line[:count] + "…", size, width))
    return line[: max(0, shown - 1)] + "…"


def _line(size: int) -> int:
    """Height of a line in pixels."""
    return size + 2


@cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
