"""Grids with captions: the images stay as they are, each row has a bar below it, and any text can be written."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.contract.data import DataSpec, Field
from genlab.media.grids import to_png
from genlab.media.kinds import captions_of, numbered


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png.content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_bar_below_each_row_holds_the_captions(rows, channels):
    images = torch.rand(rows, 3, channels, 20, 20)
    texts = ["cats", "", "猫 \udcff" + 200 * "x"] * rows
    plain, captioned = pixels(to_png(images)), pixels(to_png(images, captions=texts))
    cell = 22 * len(plain) // (22 * rows + 2)  # with the lines above it, enlarged
    assert captioned.shape == (len(plain) + 16 * rows, *plain.shape[1:])
    for row in range(rows):
        start = row * (cell + 16)
        assert np.array_equal(captioned[start : start + cell], plain[row * cell : (row + 1) * cell])
        bar = captioned[start + cell : start + cell + 16]
        assert [(part > 200).any() for part in (bar[:, cell * n : cell * (n + 1)] for n in range(3))] == [
            True,
            False,
            True,
        ]


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
