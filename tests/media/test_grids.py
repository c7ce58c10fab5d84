"""Laying images out: none is lost, counterparts stay below each other, animations keep their greys."""

import pytest
import torch

from genlab.media.grids import frames, in_blocks, wrap


def numbered(count, channels=1):
    return (torch.arange(1, count + 1) / 100).view(count, 1, 1, 1).expand(count, channels, 2, 3)


@pytest.mark.parametrize(
    "count, columns, shape",
    [(3, 8, (1, 3)), (8, 8, (1, 8)), (9, 8, (2, 8)), (17, 8, (3, 8)), (1, None, (1, 1)), (7, None, (3, 3)),
     (64, None, (8, 8)), (65, None, (8, 9))],
)  # fmt: skip
def test_wrap_shows_all_and_fills_gaps_with_grey(count, columns, shape):
    laid = wrap(numbered(count), columns)
    assert laid.shape == (*shape, 1, 2, 3)
    assert torch.equal(laid.flatten(0, 1)[:count], numbered(count))
    assert (laid.flatten(0, 1)[count:] == 0.5).all()


def test_counterparts_stand_below_each_other():
    x = numbered(12)
    grid = in_blocks(x, x + 0.2, x + 0.4, columns=5, blocks=2)
    assert grid.shape == (6, 5, 1, 2, 3)
    for block in (0, 3):
        for below in (1, 2):
            torch.testing.assert_close(grid[block + below], grid[block] + 0.2 * below)
    assert torch.equal(grid[[0, 3]].flatten(0, 1), x[:10]), "what goes beyond the blocks is left out"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_shows_all_rows_at_one_step(channels):
    rows = numbered(10 * 4, channels).unflatten(0, (10, 4))
    images = frames(rows)
    assert len(images) == 4
    scale = (720 - 12) // (5 * 3)
    height, width = 2 * scale + 2, 3 * scale + 2
    for step, image in enumerate(images):
        assert image.shape == (channels, 2 * height + 2, 5 * width + 2), "10 rows as 5 and 5"
        assert torch.equal(image[:, 2, 2::width], rows[:5, step, :, 0, 0].T)
        assert torch.equal(image[:, 2 + height, 2::width], rows[5:, step, :, 0, 0].T)
