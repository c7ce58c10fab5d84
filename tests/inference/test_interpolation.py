"""Ways between latents: against Shoemake's own formula, and where that formula has no answer."""

import pytest
import torch

from genlab.inference.interpolation import PATHS, even, linear, smooth, spherical, walk


def pairs(count=20, size=7, seed=0):
    return torch.randn(2, count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def on_the_sphere(x):
    return x / x.norm(dim=-1, keepdim=True)


def test_latents_of_one_length_follow_shoemakes_formula():
    a, b = on_the_sphere(pairs())
    t = even(9).double()
    omega = (a * b).sum(1).acos()[:, None, None]
    expected = (((1 - t[:, None]) * omega).sin() * a[:, None] + (t[:, None] * omega).sin() * b[:, None]) / omega.sin()
    torch.testing.assert_close(spherical(a, b, t), expected)


def test_the_length_goes_evenly_and_the_angle_as_well():
    a, b = pairs()
    z = spherical(a, b, even(11))
    torch.testing.assert_close(z.norm(dim=2), linear(a.norm(dim=1)[:, None], b.norm(dim=1)[:, None], even(11))[..., 0])
    turns = (on_the_sphere(z[:, 1:]) * on_the_sphere(z[:, :-1])).sum(2).acos()
    torch.testing.assert_close(turns, turns[:, :1].expand_as(turns), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_path_begins_and_ends_where_it_should(path, dtype):
    a, b = pairs().to(dtype)
    z = walk(a, b, even(5), path)
    assert z.shape == (20, 5, 7) and z.dtype == dtype
    torch.testing.assert_close(z[:, 0], a)
    torch.testing.assert_close(z[:, -1], b)


@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-7, 1e-5])
def test_nearly_parallel_latents_are_joined_by_a_line(tiny):
    a, noise = pairs()
    b = 2 * a + tiny * noise
    torch.testing.assert_close(spherical(a, b, even(7)), linear(a, b, even(7)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-7, 1e-5])
def test_nearly_opposite_latents_turn_half_a_circle(tiny):
    a, noise = pairs()
    b = -a + tiny * noise
    z = spherical(a, b, even(7))
    torch.testing.assert_close(z[:, -1], b, rtol=0, atol=1e-4)
    torch.testing.assert_close(z.norm(dim=2), a.norm(dim=1)[:, None].expand(-1, 7), rtol=1e-4, atol=0)
    assert (z[:, 3] * a).sum(1).abs().max() < 1e-3, "half way stands at a right angle to both"


def test_the_origin_can_be_an_end():
    a, _ = pairs(3)
    nothing = torch.zeros_like(a)
    for start, end in ((a, nothing), (nothing, a), (nothing, nothing)):
        z = spherical(start, end, even(5))
        assert z.isfinite().all()
        torch.testing.assert_close(z[:, [0, -1]], torch.stack([start, end], 1))


def test_smooth_times_start_and_end_slowly():
    times = smooth(25)
    steps = times.diff()
    assert times[0] == 0 and times[-1] == 1 and (steps > 0).all()
    assert steps[0] < steps[12] / 5 and steps[-1] < steps[12] / 5
    torch.testing.assert_close(times, 1 - times.flip(0))


def test_a_path_that_there_is_not_is_refused():
    a, b = pairs()
    with pytest.raises(ValueError, match="path=crooked: must be one of spherical, linear"):
        walk(a, b, even(3), "crooked")
