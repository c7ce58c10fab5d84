"""Likelihoods against the known density of normal data, for which the best denoiser is known as well."""

import math
from typing import get_args

import pytest
import torch
from torch.distributions import Normal

from genlab.diffusion.likelihood import equation_log_prob, log_level, variational_bound
from genlab.diffusion.paths import PathName, make_path, over

MEAN, DEVIATION = 0.4, 0.3
DATA = Normal(torch.tensor(MEAN, dtype=torch.float64), DEVIATION)


def exact(path):
    """x_0 and eps given x_t, expected for data ~ N(MEAN, DEVIATION^2), as the best network would predict them."""

    def denoise(x, t):
        place = path.at(over(t, x) if isinstance(t, torch.Tensor) else t)
        gain = place.alpha * DEVIATION**2 / (place.alpha**2 * DEVIATION**2 + place.sigma**2)
        x0 = MEAN + gain * (x - place.alpha * MEAN)
        return x0, (x - place.alpha * x0) / place.sigma

    return denoise


@pytest.mark.parametrize("name", get_args(PathName))
def test_the_equation_gives_the_density_of_points(name):
    path, x = make_path(name), torch.tensor([[0.4, 0.3], [0.9, -0.2], [0.0, 0.5]], dtype=torch.float64)
    found = equation_log_prob(path, exact(path), x, levels=0, steps=100)
    torch.testing.assert_close(found, DATA.log_prob(x).sum(1), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", get_args(PathName))
def test_both_give_the_probability_of_a_level(name):
    """Of an image of 4 pixels; the estimates are unbiased, so that the mean over many comes near."""
    torch.manual_seed(0)
    path, level = make_path(name), torch.tensor(2 * 99 / 255 - 1, dtype=torch.float64)
    x = level.expand(4000, 1, 2, 2)
    expected = 4 * (DATA.cdf(level + 1 / 255) - DATA.cdf(level - 1 / 255)).log()
    assert abs(equation_log_prob(path, exact(path), x, levels=256).mean() - expected) < 0.05
    assert abs(variational_bound(path, exact(path), x, levels=256).mean() - expected) < 0.25


def test_the_bound_of_points_is_tight_under_the_best_network():
    torch.manual_seed(0)
    path, x = make_path("linear"), torch.full((4000, 2), 0.6, dtype=torch.float64)
    found = variational_bound(path, exact(path), x, levels=0)
    assert abs(found.mean() - DATA.log_prob(x[0]).sum()) < 0.15


def test_a_worse_network_has_a_lower_bound():
    torch.manual_seed(0)
    path, x = make_path("cosine"), MEAN + DEVIATION * torch.randn(500, 8, dtype=torch.float64)

    def worse(x, t):
        x0, eps = exact(path)(x, t)
        return x0 + 0.1, eps + 0.1

    good, bad = (variational_bound(path, denoise, x, levels=0).mean() for denoise in (exact(path), worse))
    assert bad < good - 0.1


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_probabilities_of_the_levels_sum_to_one(levels):
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)[:, None]
    for mean, deviation in ((0.1, 0.3), (-1.0, 0.005), (0.9, 0.02)):
        total = log_level(x, torch.full_like(x, mean), deviation, levels).exp().sum()
        assert math.isclose(total, 1, rel_tol=1e-9)


def test_improbable_levels_keep_their_logarithm():
    x = torch.tensor([[-1.0], [1.0], [0.5]], dtype=torch.float64)
    found = log_level(x, -x, 0.005, 256)
    assert torch.isfinite(found).all()
    assert (found < -1000).all()
