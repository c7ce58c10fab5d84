"""Coordinates of networks: the fixed range of images, standardized points, and back."""

import math

import pytest
import torch

from genlab.contract.data import Field
from genlab.networks.coordinates import Coordinates

IMAGE = Field("image", (1, 4, 5))
POINTS = Field("points", (2,), centre=(3.0, -10.0), scale=(2.0, 0.5))


@pytest.mark.parametrize("interval", ["signed", "unit"])
@pytest.mark.parametrize("field", [IMAGE, POINTS], ids=["image", "points"])
def test_outward_is_the_inverse_of_inward(field, interval, float64):
    coordinates = Coordinates(field, interval)
    x = torch.rand(50, *field.shape)
    torch.testing.assert_close(coordinates.outward(coordinates.inward(x)), x)
    torch.testing.assert_close(coordinates.inward(coordinates.outward(x)), x)


def test_images_are_mapped_by_the_formulas_to_the_bit():
    x = torch.arange(256).float().mul_(1 / 255).view(-1, 1, 1, 1)
    signed, unit = Coordinates(IMAGE, "signed"), Coordinates(IMAGE, "unit")
    assert torch.equal(signed.inward(x), 2 * x - 1) and torch.equal(signed.outward(x), (1 + x) / 2)
    assert unit.inward(x) is x and unit.outward(x) is x
    raw = 10 * torch.randn(9, 1, 4, 5)
    assert torch.equal(signed.squash(raw), raw.tanh()) and torch.equal(unit.squash(raw), raw.sigmoid())
    assert signed.log_scale == unit.log_scale == 0 and not list(signed.state_dict())


def test_points_are_standardized_and_their_density_accounts_for_it():
    coordinates = Coordinates(POINTS, "unit")
    x = torch.tensor([3.0, -10.0]) + torch.tensor([2.0, 0.5]) * torch.randn(20_000, 2)
    y = coordinates.inward(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=0.03, rtol=0)
    torch.testing.assert_close(y.std(0), torch.ones(2), atol=0.03, rtol=0)
    assert coordinates.squash(y) is y
    assert float(coordinates.log_scale) == pytest.approx(math.log(2.0) + math.log(0.5))
    assert not list(coordinates.state_dict()), "what the data's spec says is not saved twice"


def test_points_without_statistics_stay_as_they_are():
    x = torch.randn(4, 3)
    assert torch.equal(Coordinates(Field("points", (3,)), "signed").inward(x), x)
