"""Arrays of numpy go in where tensors do; whatever could mean something else is refused with the way out."""

import numpy as np
import pytest
import torch

from genlab.contract.data import Field
from genlab.inference.arrays import examples_of, floats

COLOUR, GREY, POINTS = Field("image", (3, 8, 6)), Field("image", (1, 8, 6)), Field("points", (2,))
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), np.uint8)
EXPECTED = torch.from_numpy(PIXELS).movedim(-1, 1) / 255


@pytest.mark.parametrize(
    "values",
    [
        PIXELS,
        PIXELS.transpose(0, 3, 1, 2),
        torch.from_numpy(PIXELS),
        EXPECTED,
        EXPECTED.numpy(),
        EXPECTED.double().numpy(),
        EXPECTED.numpy().astype(">f8"),
        list(PIXELS),
        list(EXPECTED),
    ],
)
def test_every_layout_of_images_gives_the_same(values):
    x = examples_of(values, COLOUR)
    assert x.dtype == torch.float32 and torch.allclose(x, EXPECTED, atol=1e-7)


def test_grey_images_need_no_axis_for_their_channel():
    for values in (PIXELS[..., 0], PIXELS[..., :1], PIXELS[:, None, ..., 0]):
        assert torch.allclose(examples_of(values, GREY), EXPECTED[:, :1])


def test_views_and_read_only_arrays_are_copied(recwarn):
    read_only = EXPECTED.numpy().copy()
    read_only.flags.writeable = False
    assert torch.equal(examples_of(read_only, COLOUR), EXPECTED) and not recwarn.list
    assert torch.equal(examples_of(read_only[::-1], COLOUR), EXPECTED.flip(0))


def test_points_and_latents_are_numbers_of_any_kind():
    rows = [[1, 2], [3, 4]]
    for values in (
        rows,
        np.array(rows),
        np.array(rows, float),
        torch.tensor(rows),
        [torch.tensor(row) for row in rows],
    ):
        assert examples_of(values, POINTS).tolist() == floats(values).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "values, field, parts",
    [
        (EXPECTED[0].numpy(), COLOUR, ["[3, 8, 6]", "x[None]"]),
        (np.moveaxis(EXPECTED.numpy(), 1, -1), COLOUR, ["[4, 8, 6, 3]", "numpy.moveaxis(x, -1, 1)"]),
        (EXPECTED[:, 0].numpy(), GREY, ["[4, 8, 6]", "x[:, None]"]),
        (PIXELS.transpose(0, 3, 1, 2).astype(int), COLOUR, ["int64", "uint8"]),
        (PIXELS[0], COLOUR, ["[8, 6, 3]", "x[None]"]),
        (PIXELS[0, ..., 0], GREY, ["[8, 6]", "x[None]"]),
        (np.zeros((4, 3, 9, 9)), COLOUR, ["[4, 3, 9, 9]", "[N, 3, 8, 6]"]),
        (EXPECTED.numpy() * 255, COLOUR, ["255", "x / 255"]),
        (EXPECTED.numpy() * 2 - 1, COLOUR, ["-1 to 1", "(x + 1) / 2"]),
        (np.full((1, 3, 8, 6), np.nan), COLOUR, ["nan"]),
        (PIXELS // 128, COLOUR, ["only 0 and 1", "255 * x"]),
        ("ab", POINTS, ["str", "array"]),
        ([PIXELS[0], PIXELS[0, :4]], COLOUR, ["one shape"]),
        (np.array([["a", "b"]]), POINTS, ["<U1"]),
        (np.zeros((3, 4)), POINTS, ["[3, 4]", "[N, 2]"]),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_one_line_with_the_way_out(values, field, parts):
    with pytest.raises(ValueError) as refused:
        examples_of(values, field)
    assert all(part in str(refused.value) for part in parts), refused.value
    assert "\n" not in str(refused.value)
