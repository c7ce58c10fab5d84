"""Label maps: the classes of inexact colours, palettes, and colours without a class."""

import pytest
import torch

from genlab.media.label_maps import classes_of, colour_without_class, read_palette

PALETTE = ("000000", "ff0000", "0000ff")


def test_a_pixel_has_the_class_of_the_nearest_colour():
    x = torch.tensor([[0.1, 0.0, 0.1], [0.8, 0.1, 0.2], [0.1, 0.2, 0.7]]).T[None, :, None]
    assert classes_of(x, PALETTE).tolist() == [[[0, 1, 2]]]


def test_a_colour_that_no_class_has_is_named():
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    image[0, 0, 0] = 128  # one pixel, as compression makes
    assert colour_without_class(image, PALETTE) is None
    image[1, :5] = 200
    assert colour_without_class(image, PALETTE) == "00c800"


def test_palettes():
    assert read_palette(["#0000AA", "000055"], 3) == ("0000aa", "000055")
    with pytest.raises(ValueError, match=r"dataset\.palette=blue: .*hexadecimal"):
        read_palette(["ff0000", "blue"], 3)
    with pytest.raises(ValueError, match="each once"):
        read_palette(["ff0000", "ff0000"], 3)
    with pytest.raises(ValueError, match=r"dataset\.channels=3"):
        read_palette(["ff0000", "00ff00"], 1)
