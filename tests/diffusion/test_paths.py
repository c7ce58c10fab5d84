"""Paths against their closed forms, and conversions of what networks predict into each other."""

from typing import get_args

import pytest
import torch

from genlab.diffusion.paths import PathName, PredictionName, make_path, over
from genlab.diffusion.weights import drawn_times, weight

PATHS, PREDICTIONS = get_args(PathName), get_args(PredictionName)


@pytest.mark.parametrize("name", PATHS)
def test_the_path_leads_from_data_to_noise(name):
    start, end = (make_path(name).at(torch.tensor(t, dtype=torch.float64)) for t in (0.0, 1.0))
    assert start.alpha == 1 and start.sigma == 0
    assert end.alpha < 0.01 and end.sigma > 0.9999
    assert start.snr == torch.inf


def test_the_linear_path_has_the_variances_of_ho_et_al():
    """alpha^2 at t = n / 1000 is the product of 1 - beta_i over the first n steps."""
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    place = make_path("linear").at(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    torch.testing.assert_close(place.alpha.square(), (1 - betas).cumprod(0), rtol=1e-9, atol=0)
    torch.testing.assert_close(place.alpha.square() + place.sigma.square(), torch.ones(1000, dtype=torch.float64))


def test_the_cosine_path_is_that_of_nichol_and_dhariwal():
    t = torch.arange(1, 990, dtype=torch.float64) / 1000
    f = ((t + 0.008) / 1.008 * torch.pi / 2).cos().square()
    expected = f / (torch.tensor(0.008 / 1.008, dtype=torch.float64) * torch.pi / 2).cos().square()
    torch.testing.assert_close(make_path("cosine").at(t).alpha.square(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_rates_are_derivatives(name):
    path, h = make_path(name), 1e-7
    t = (torch.arange(5, 995, 10, dtype=torch.float64) + 0.4) / 1000
    place, left, right = path.at(t), path.at(t - h), path.at(t + h)
    torch.testing.assert_close(place.d_alpha, (right.alpha - left.alpha) / (2 * h), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(place.d_sigma, (right.sigma - left.sigma) / (2 * h), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PATHS)
def test_marginals_are_those_of_the_closed_form(name):
    """Mean alpha x and variance sigma^2 over 100,000 draws of noise."""
    torch.manual_seed(0)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    x, place = torch.tensor([[-1.0], [0.3], [0.8]], dtype=torch.float64), make_path(name).at(over(t, torch.zeros(3, 1)))
    x_t = place.mix(x, torch.randn(3, 100_000, dtype=torch.float64))
    torch.testing.assert_close(x_t.mean(1), (place.alpha * x).flatten().double(), atol=0.02, rtol=0)
    torch.testing.assert_close(x_t.std(1), place.sigma.flatten().double(), atol=0.01, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", PATHS)
def test_every_prediction_gives_data_and_noise(name, prediction):
    torch.manual_seed(0)
    x0, eps = torch.randn(2, 7, 3, dtype=torch.float64)
    place = make_path(name).at(over(torch.linspace(0.05, 0.95, 7, dtype=torch.float64), x0))
    found = place.solve(prediction, place.mix(x0, eps), place.target(prediction, x0, eps))
    torch.testing.assert_close(found, (x0, eps), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", PATHS)
def test_weights_of_x0_are_the_same_whatever_is_predicted(name, prediction):
    """The weighted error of a prediction is the weighted error of the x_0 that follows from it."""
    torch.manual_seed(0)
    x0, eps, wrong = torch.randn(3, 7, 1, dtype=torch.float64)
    place = make_path(name).at(over(torch.linspace(0.05, 0.95, 7, dtype=torch.float64), x0))
    x_t, target = place.mix(x0, eps), place.target(prediction, x0, eps)
    found, _ = place.solve(prediction, x_t, target + wrong)
    for weighting, of_x0 in (("min-snr", place.snr.clamp(max=5)), ("edm", place.snr + 4)):
        weighted = weight(weighting, place, prediction) * wrong.square()
        torch.testing.assert_close(weighted, of_x0 * (found - x0).square(), rtol=1e-6, atol=1e-9)


def test_times_have_their_distribution():
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    assert torch.equal(drawn_times("uniform", u), u)
    logits = drawn_times("logit-normal", u).logit()
    assert abs(logits.mean()) < 1e-6
    assert abs(logits.std() - 1) < 1e-2
