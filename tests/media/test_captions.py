"""Grids with captions: the images stay as they are, names fit beside them, and any text can be written."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from genlab.contract.data import DataSpec, Field
from genlab.contract.model import Grid
from genlab.media.grids import to_png
from genlab.media.kinds import captions_of, numbered


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png.content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_bar_below_each_row_holds_the_captions(rows, channels):
    images = torch.rand(rows, 3, channels, 20, 20)
    texts = ["cats", "", "猫 \udcff" + 200 * "x"] * rows
    plain, captioned = pixels(to_png(images)), pixels(to_png(Grid(images, cells=texts)))
    cell = (len(plain) - 2) // rows  # with the lines above it, enlarged
    bar = (len(captioned) - len(plain)) // rows
    assert bar == 2 * 11 + 4 and captioned.shape[1:] == plain.shape[1:], "two lines of the smallest letters"
    for row in range(rows):
        start = row * (cell + bar)
        assert np.array_equal(captioned[start : start + cell], plain[row * cell : (row + 1) * cell])
        below = captioned[start + cell : start + cell + bar]
        written = [(below[:, cell * number : cell * (number + 1)] < 100).any() for number in range(3)]
        assert written == [True, False, True]


FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


@pytest.mark.parametrize("side, columns", [(28, 10), (16, 16), (8, 30)])
def test_names_of_classes_are_written_whole(side, columns, monkeypatch):
    """On two lines, in smaller letters, or below images that are enlarged further."""
    written, honest = [], ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda draw, place, text, **style: (written.append(text), honest(draw, place, text, **style)),
    )
    names = [FASHION[number % 10] for number in range(columns)]
    to_png(Grid(torch.zeros(2, columns, 1, side, side), columns=names, cells=names))
    assert "".join(written).replace(" ", "") == 2 * "".join(names).replace(" ", "")


def test_rows_and_columns_have_their_names_beside_them():
    images = torch.ones(3, 4, 1, 30, 30)
    plain = pixels(to_png(images))
    image = pixels(to_png(Grid(images, rows=["a\nKL 0.1", "", "b"], columns=["", "-2"])))
    left, above = image.shape[1] - plain.shape[1], len(image) - len(plain)
    assert left > 0 and above > 0 and np.array_equal(image[above:, left:], plain)
    height, width = len(plain) // 3, plain.shape[1] // 4
    rows = [(image[above + row * height :][:height, :left] < 100).any() for row in range(3)]
    columns = [(image[:above, left + column * width :][:, :width] < 100).any() for column in range(4)]
    assert rows == [True, False, True] and columns == [False, True, False, True], "names are repeated in turn"


def test_classes_that_are_numbers_have_no_captions():
    label = {"label": torch.tensor([2, 0])}
    for names, found in (
        (("a", "b", "c"), ["c", "a"]),
        (("0", "1", "2"), []),
        ((), []),
        (("1", "2", "10"), ["10", "1"]),
    ):
        data = DataSpec({"x": Field("image", (1, 8, 8)), "label": Field("label", size=3, names=names)})
        assert captions_of(data, label) == found and captions_of(data, {}) == []
    assert numbered(Field("label", size=2, names=("cats", "dogs"))) == "0=cats, 1=dogs"
    assert numbered(Field("label", size=30, names=tuple(f"c{n}" for n in range(30)))).endswith("19=c19 and 10 more")
