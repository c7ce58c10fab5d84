"""Plots of points: sizes, metadata, axes that stay, what they show, and what the kind refuses."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.contract.data import Field
from genlab.media.kind import Scene
from genlab.media.kinds import KINDS
from genlab.media.metadata import Origin
from genlab.media.point_plots import Plane

POINTS = KINDS["points"]
REAL = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0])


def log_density(x):
    return -x.square().sum(1) / 2


def pixels(png):
    image = np.asarray(Image.open(BytesIO(png.content)))
    assert image.shape == (png.height, png.width, 3)
    return image.astype(int)


@pytest.mark.parametrize(
    "size, scene, width",
    [
        (1, {}, 640),
        (1, {"real": REAL[:, :1], "log_density": log_density, "score": log_density}, 640),
        (1, {"real": REAL[:, :1]}, 640),
        (2, {"real": REAL}, 520),
        (2, {"real": REAL, "log_density": log_density, "score": log_density}, 960),
        (2, {"score": log_density}, 960),
        (5, {"real": torch.randn(100, 5), "score": log_density}, 520),
    ],
)
def test_pictures_have_the_promised_size_and_metadata(size, scene, width):
    png = POINTS.picture(torch.randn(3, 4, size), Origin("gan", "a/b", 7, 0), Scene(**scene))
    assert (png.height, png.width) == (480, width)
    assert Image.open(BytesIO(png.content)).text["step"] == "7"
    assert POINTS.picture(torch.ones(1, 1, size), scene=Scene(**scene)).width == width


def test_axes_depend_on_the_data_alone():
    """Far samples change no pixel outside the axes and their title."""
    near, far = (
        pixels(POINTS.picture(x, scene=Scene(REAL, log_density)))
        for x in (torch.zeros(1, 4, 2), torch.full((1, 4, 2), 99.0))
    )
    frame = np.ones(near.shape[:2], bool)
    frame[30:430, 60:505] = False
    frame[:30] = False
    assert (near == far)[frame].all() and (near != far).any()


def test_points_are_drawn_where_they_are():
    """The orange dots of points on the left are on the left, and those of points above are above."""

    def centre(point):
        image = pixels(POINTS.picture(torch.tensor(point).expand(1, 50, 2), scene=Scene(REAL)))
        orange = (image[..., 0] > 200) & (image[..., 2] < 100)
        assert orange.any()
        return np.argwhere(orange).mean(0)

    middle, left, above = centre([0.0, 0.0]), centre([-1.0, 0.0]), centre([0.0, 3.0])
    assert left[1] < middle[1] - 20 and left[0] == pytest.approx(middle[0], abs=3)
    assert above[0] < middle[0] - 20 and above[1] == pytest.approx(middle[1], abs=3)


def test_fields_of_densities_and_discriminators_are_not_mirrored():
    """The blue half of the discriminator's field is where its score is large."""
    image = pixels(POINTS.picture(torch.zeros(1, 1, 2), scene=Scene(REAL, score=lambda x: 9 * x[:, 1])))
    field = image[60:420, 500:850]
    above, below = field[:100].mean((0, 1)), field[-100:].mean((0, 1))
    assert above[2] > above[0] + 40 and below[0] > below[2] + 40


@pytest.mark.parametrize("size", [1, 2])
def test_a_discriminator_is_shown_relative_to_its_boundary_and_a_critic_to_its_range(size):
    def shown(shift, boundary, factor=1.0):
        scene = Scene(REAL[:, :size], score=lambda x: factor * x[:, 0] + shift, boundary=boundary)
        return pixels(POINTS.picture(torch.zeros(1, 1, size), scene=scene))

    middle = shown(0.0, 0.0)
    assert (shown(0.5, 0.5) == middle).mean() > 0.999  # up to rounding
    assert (shown(0.5, 0.0) != middle).any()
    critic = shown(0.0, None)
    assert (shown(9.0, None, 4.0) == critic).mean() > 0.999 and (critic != middle).any()


def test_more_than_two_dimensions_are_shown_by_principal_components():
    points = torch.randn(400, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64)
    plane = Plane.of(points)
    singular = torch.linalg.svdvals(points - points.mean(0))
    shown = plane.shown(points)
    torch.testing.assert_close(shown.norm(dim=0), singular[:2])
    assert plane.names[0].endswith(f"({(singular[0] ** 2 / singular.square().sum()).item():.0%} of the variance)")
    assert plane.outside(shown) < 10


def test_constant_points_have_axes_too():
    plane = Plane.of(torch.ones(5, 2))
    assert plane.low[0] < 1 < plane.high[0]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_paths_and_their_animation(size, tmp_path):
    rows = torch.randn(2, 3, size)
    png = POINTS.picture(rows, scene=Scene(torch.randn(50, size)), connected=True)
    assert (png.height, png.width) == (480, 640 if size == 1 else 520)
    POINTS.save_animation(rows, tmp_path / "a.gif", Origin("gan", "a/b", 7, 0))
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 4 and animation.size == (png.width, png.height)
        assert b"step: 7" in animation.info["comment"]


@pytest.mark.parametrize("kind", ["points", "factors"])
def test_parsed_from_the_command_line(kind):
    parse = KINDS[kind].parse
    assert parse(Field(kind, (2,)), [1, -0.5]).tolist() == [1.0, -0.5]
    assert parse(Field(kind, (1,)), 3).tolist() == [3.0]
    for value in (1, [1], [1, "a"], [1, float("nan")], [True, 1], "1,2", None):
        with pytest.raises(ValueError, match="2 numbers"):
            parse(Field(kind, (2,)), value)


def test_what_points_have_not_is_refused():
    with pytest.raises(ValueError, match="npz"):
        POINTS.save_each(REAL, [Path("a.png")])
    POINTS.check_augmentation(flip=False, shift=0)
    for given in ({"flip": True, "shift": 0}, {"flip": False, "shift": 2}):
        with pytest.raises(ValueError, match=r"loader\.(flip|shift)="):
            POINTS.check_augmentation(**given)
    assert POINTS.array(REAL.double()).dtype == np.float32


def test_rows_for_pictures():
    assert torch.equal(POINTS.arranged(REAL), REAL[None])
    pairs = POINTS.beside(REAL, REAL + 1).examples
    assert pairs.shape == (100, 2, 2) and (pairs[:, 1] - pairs[:, 0]).allclose(torch.ones(2), atol=1e-5)
    assert torch.equal(POINTS.beside(REAL[:3], REAL[:3]).examples[:, 0], REAL[:3])


def test_points_that_are_all_the_same_have_no_shares_of_a_variance():
    assert Plane.of(torch.ones(9, 3)).names[0] == "principal component 1 of the data"
