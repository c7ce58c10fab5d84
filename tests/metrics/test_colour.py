"""CIELAB against published values of primaries, and the error of colours alone."""

import pytest
import torch

from genlab.metrics.colour import chroma_error, to_lab


@pytest.mark.parametrize(
    "rgb, lab",
    [  # D65, as Lindbloom's calculator gives them
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_primaries(rgb, lab):
    found = to_lab(torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found, torch.tensor(lab, dtype=torch.float64), atol=0.02, rtol=0)


def test_lightness_is_no_error_of_colour():
    grey = torch.full((2, 3, 4, 4), 0.3)
    assert chroma_error(grey, grey + 0.4).max() < 0.05
    red = torch.zeros(1, 3, 2, 2).index_fill(1, torch.tensor([0]), 1.0)
    torch.testing.assert_close(chroma_error(red, grey[:1, :, :2, :2]), torch.tensor([104.55]), atol=0.05, rtol=0)
