"""Likelihoods against torch.distributions, and what the units of the numbers promise."""

import math

import pytest
import torch
from torch import distributions

from genlab.losses.likelihood import Bernoulli, Gaussian, make_likelihood


@pytest.fixture
def images(float64):
    """Raw decoder outputs and grey images in [0, 1], each [5, 2, 3, 4]."""
    torch.manual_seed(0)
    return 3 * torch.randn(5, 2, 3, 4), torch.rand(5, 2, 3, 4)


def test_bernoulli_of_grey_pixels_is_the_expectation_over_bits(images):
    output, x = images
    bits = distributions.Bernoulli(logits=output)
    expected = (x * bits.log_prob(torch.ones_like(x)) + (1 - x) * bits.log_prob(torch.zeros_like(x))).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().log_prob(output, x), expected, rtol=1e-12, atol=1e-12)


def test_bernoulli_survives_certainty():
    """A decoder that is sure and wrong costs much, not infinitely much."""
    value = Bernoulli().log_prob(torch.full((1, 1, 1, 1), -200.0), torch.ones(1, 1, 1, 1))
    assert value.item() == pytest.approx(-200)


@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_is_that_of_torch(learned, images):
    output, x = images
    expected = distributions.Normal(output.sigmoid(), math.sqrt(0.03)).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Gaussian(0.03, learned).log_prob(output, x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "gaussian-learned"])
def test_mean_is_a_image_and_one_number_comes_for_each(name, images):
    output, x = images
    likelihood = make_likelihood(name, 0.01)
    assert likelihood.log_prob(output, x).shape == (5,)
    torch.testing.assert_close(likelihood.mean(output), distributions.Bernoulli(logits=output).mean)


def test_half_precision_outputs_are_summed_in_the_precision_of_the_images():
    torch.manual_seed(0)
    output, x = torch.randn(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    for likelihood in (Bernoulli(), Gaussian(0.01, learned=False)):
        value = likelihood.log_prob(output.bfloat16(), x)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, likelihood.log_prob(output.bfloat16().float(), x))


def test_learned_variance_is_led_to_the_mean_squared_error(images):
    """The optimum of a Gaussian's likelihood is known: sigma^2 = mean (x - m)^2 (Rybkin et al. 2021)."""
    output, x = images
    likelihood = Gaussian(0.01, learned=True)
    optimizer = torch.optim.LBFGS(likelihood.parameters(), lr=0.5, max_iter=200, tolerance_grad=1e-10)

    def loss():
        optimizer.zero_grad()
        value = -likelihood.log_prob(output, x).mean()
        value.backward()
        return value

    optimizer.step(loss)
    expected = (x - output.sigmoid()).square().mean()
    torch.testing.assert_close(likelihood.log_variance.exp().detach(), expected, rtol=1e-5, atol=0)


def test_learned_variance_stops_at_one_grey_level():
    """A perfect decoder must not drive the density to infinity."""
    exact = torch.full((1, 1, 2, 2), 0.5)
    tiny, smaller = (Gaussian(v, learned=True).log_prob(torch.zeros(1, 1, 2, 2), exact) for v in (1e-6, 1e-12))
    assert tiny.isfinite().all() and torch.equal(tiny, smaller)


def test_real_numbers_have_no_grey_levels():
    """Below the floor of images, the learned variance still has a gradient, and no bits of levels are added."""
    likelihood = make_likelihood("gaussian-learned", 1e-8, lambda raw: raw, levels=0)
    likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 2)).sum().backward()
    assert likelihood.log_variance.grad.item() == pytest.approx(-1)
    assert likelihood.bits_per_dim(torch.tensor(-2 * math.log(2)), 2).item() == pytest.approx(1)


@pytest.mark.parametrize("variance", [0.0, -1.0])
def test_refuses_a_variance_that_is_none(variance):
    with pytest.raises(ValueError, match=rf"model\.variance={variance}: must be greater than 0"):
        Gaussian(variance, learned=False)


def test_fair_coins_hold_one_bit_a_pixel_and_a_flat_density_on_grey_levels_eight():
    nats = Bernoulli().log_prob(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4))
    assert Bernoulli().bits_per_dim(nats, 16).item() == pytest.approx(1)
    assert Gaussian(1.0, learned=False).bits_per_dim(torch.tensor(0.0), 16).item() == pytest.approx(8)
    assert Gaussian(1.0, learned=False).bits_per_dim(torch.tensor(16 * math.log(2)), 16).item() == pytest.approx(7)
