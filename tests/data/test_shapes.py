"""The rendered shapes: the images show the factors that come with them."""

from math import pi, sqrt

import pytest
import torch

from genlab.data.shapes import LARGEST, SHAPES, Shapes, render


def small(**options):
    return Shapes(**{"num_scales": 2, "num_orientations": 4, "num_positions": 3, **options})


def moments(images):
    """Area in pixels, and centre along x and y in pixels."""
    weight = images[:, 0].double() / 255
    along = torch.arange(images.shape[-1]) + 0.5
    area = weight.sum((1, 2))
    return area, (weight.sum(1) * along).sum(1) / area, (weight.sum(2) * along).sum(1) / area


def test_the_two_splits_are_the_whole_grid():
    source = small()
    tables = [source.open(split)[0].load() for split in ("train", "validation")]
    factors = torch.cat([table["factors"] for table in tables])
    assert len(factors) == sum(source.sizes.values()) == 3 * 2 * 4 * 3 * 3
    assert len(factors.unique(dim=0)) == len(factors)
    assert [column.unique().tolist() for column in factors.unbind(1)] == [
        [0, 1, 2],
        [0.5, 1],
        pytest.approx([0, pi / 2, pi, 3 * pi / 2]),
        [0, 0.5, 1],
        [0, 0.5, 1],
    ]
    assert all(torch.equal(table["label"], table["factors"][:, 0].long()) for table in tables)


@pytest.mark.parametrize("kind, area", [(0, 2), (1, pi * 0.55), (2, (4 + pi) * 0.5606**2)])
@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_area_is_exact(kind, area, turn):
    """The area of a rendered shape is that of the ideal shape, at every scale."""
    scale = torch.tensor([0.5, 0.8, 1.0])
    factors = torch.stack([torch.full((3,), float(kind)), scale, torch.full((3,), turn), *torch.full((2, 3), 0.4)], 1)
    found, _, _ = moments(render(factors, 64))
    assert torch.allclose(found, area * (LARGEST * 64 * scale.double()) ** 2, rtol=0.02)


def test_position_moves_the_centre_and_leaves_the_shape_inside():
    places = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    for kind, (shift, turn) in enumerate([(0, pi / 4), (0, 0), (0.1, 0)]):
        factors = torch.cat([torch.tensor([kind, 1.0, turn]).expand(4, 3), places], 1)
        images = render(factors, 32)
        area, x, y = moments(images)
        assert torch.allclose(area, area[:1].expand(4), rtol=0.01)  # nothing was cut off
        low, high = 32 * LARGEST, 32 * (1 - LARGEST)
        assert torch.allclose(x, low + (high - low) * places[:, 0].double(), atol=0.1)
        assert torch.allclose(y, low + (high - low) * places[:, 1].double(), atol=0.1 + 32 * LARGEST * shift)


def test_a_quarter_turn_turns_the_image():
    for kind in range(len(SHAPES)):
        upright, turned = render(torch.tensor([[kind, 1, turn, 0.5, 0.5] for turn in (0, pi / 2)]), 32)
        assert (upright.rot90(-1, (1, 2)).int() - turned.int()).abs().max() <= 1  # clockwise


def test_the_heart_stands_on_its_tip():
    _, _, y = moments(render(torch.tensor([[2, 1, 0, 0.5, 0.5]]), 64))
    image = render(torch.tensor([[2, 1, 0, 0.5, 0.5]]), 64)[0, 0]
    widths = (image > 127).sum(1)
    assert widths.argmax() < 32 and y < 32
    assert torch.equal(image, image.flip(1))
    assert widths[widths > 0][-1] < 4 < widths.max() / 4
    assert int((widths > 0).sum()) == pytest.approx(0.5606 * (1 + 1.5 * sqrt(2)) * LARGEST * 64, abs=1.5)


def test_antialias_and_subset():
    assert set(small(antialias=False).open("validation")[0].load()["x"].unique().tolist()) == {0, 255}
    assert len(small().open("validation")[0].load()["x"].unique()) > 20
    assert small(num_images=50).sizes == {"train": 45, "validation": 5}
