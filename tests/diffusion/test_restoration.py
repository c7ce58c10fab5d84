"""Operators and their pseudo-inverses, and restorations of normal data, whose answer is known."""

from itertools import pairwise

import pytest
import torch

from genlab.diffusion.operators import blurred, grey, masked, pooled
from genlab.diffusion.paths import make_path
from genlab.diffusion.restoration import restored
from genlab.diffusion.samplers import times

KEPT = torch.ones(8, 12)
KEPT[4:] = 0
OPERATORS = {"mask": masked(KEPT), "pool": pooled(8, 12, 4), "grey": grey(3), "blur": blurred(8, 12, 1.0)}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_inverse_is_a_pseudo_inverse(name):
    """A A+ A = A, A+ A A+ = A+, and A+ A is symmetric: the projection is the nearest image."""
    operator = OPERATORS[name]
    torch.manual_seed(0)
    x, other = torch.randn(2, 5, 3, 8, 12, dtype=torch.float64)
    y = operator.apply(x)
    torch.testing.assert_close(operator.apply(operator.inverse(y)), y)
    back = operator.inverse(y)
    torch.testing.assert_close(operator.inverse(operator.apply(back)), back)
    torch.testing.assert_close((other * back).sum(), (operator.inverse(operator.apply(other)) * x).sum())
    torch.testing.assert_close(operator.apply(operator.project(other, y)), y)
    assert operator.answer(y.clamp(0, 1)).shape == operator.seen(y).shape == x.shape


def test_a_blur_amplifies_nothing_much():
    operator = blurred(28, 28, 2.0)
    noise = torch.randn(1, 1, 28, 28, dtype=torch.float64)
    assert operator.inverse(noise).norm() < 100 * noise.norm()


def test_blocks_must_fill_the_image():
    with pytest.raises(ValueError, match=r"scale=3: 8x12"):
        pooled(8, 12, 3)


@pytest.mark.parametrize("eta", [0.0, 0.85])
@pytest.mark.parametrize("method, path", [("projection", "rectified"), ("repaint", "rectified"), ("repaint", "linear")])
def test_what_is_given_is_kept_and_the_rest_is_drawn_as_the_data_are(method, path, eta):
    """Both halves of an image are one number, drawn from N(0, 0.3^2): the hidden half must follow the seen one."""
    path = make_path(path)

    def denoise(x, t):
        place = path.at(t)
        mean = x.mean((-2, -1), keepdim=True)  # of 4 pixels: its noise has a quarter of the variance
        gain = place.alpha * 0.09 / (place.alpha**2 * 0.09 + place.sigma**2 / 4)
        x0 = (gain * mean).expand_as(x)
        return x0, (x - place.alpha * x0) / place.sigma if t > 0 else torch.zeros_like(x)

    torch.manual_seed(0)
    operator = masked(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    x = (0.3 * torch.randn(200, 1, 1, 1, dtype=torch.float64)).clamp(-0.9, 0.9).expand(-1, 1, 2, 2)
    noise = torch.randn(x.shape, dtype=torch.float64)
    found = restored(method, path, denoise, operator.apply(x), operator, noise, pairwise(times(50)), 50, eta)
    assert torch.equal(found[:, :, 0], x[:, :, 0])
    assert (found - x).abs().mean() < 0.05


def test_posterior_sampling_comes_near_what_is_given():
    path = make_path("linear")

    def denoise(x, t):
        place = path.at(t)
        x0 = place.alpha * 0.25 / (place.alpha**2 * 0.25 + place.sigma**2) * x
        return x0, (x - place.alpha * x0) / place.sigma if t > 0 else torch.zeros_like(x)

    torch.manual_seed(0)
    operator, x = pooled(8, 8, 4), torch.rand(6, 1, 8, 8, dtype=torch.float64) - 0.5
    noise = torch.randn_like(x)
    found = restored("dps", path, denoise, operator.apply(x), operator, noise, pairwise(times(100)), 100, 1.0)
    assert (operator.apply(found) - operator.apply(x)).abs().max() < 0.1
