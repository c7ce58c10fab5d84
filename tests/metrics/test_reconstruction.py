"""Errors of reconstruction against scikit-image."""

import numpy as np
import pytest
import torch
from skimage import metrics

from genlab.metrics.reconstruction import mean_squared_error, peak_signal_to_noise, structural_similarity


def pairs(*shape):
    """Smooth images (where local variances are small), flat ones, and disturbed copies."""
    torch.manual_seed(0)
    x = torch.rand(*shape).cumsum(-1).cumsum(-2)
    x = x / x.amax((1, 2, 3), keepdim=True)
    x[0] = 0.7
    return x, (x + 0.1 * torch.randn(shape)).clamp(0, 1)


def published_similarity(x, y):
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    x, y = x.double().numpy(), y.double().numpy()
    return [
        np.mean([metrics.structural_similarity(a, b, **settings) for a, b in zip(one, other, strict=True)])
        for one, other in zip(x, y, strict=True)
    ]


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (4, 3, 32, 20), (3, 2, 11, 11)])
def test_similarity_agrees_with_scikit_image(shape):
    x, y = pairs(*shape)
    np.testing.assert_allclose(structural_similarity(x, y), published_similarity(x, y), atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (4, 3, 8, 8)])
def test_errors_agree_with_scikit_image(shape):
    x, y = pairs(*shape)
    both = list(zip(x.double().numpy(), y.double().numpy(), strict=True))
    np.testing.assert_allclose(mean_squared_error(x, y), [metrics.mean_squared_error(a, b) for a, b in both])
    expected = [metrics.peak_signal_noise_ratio(a, b, data_range=1) for a, b in both]
    np.testing.assert_allclose(peak_signal_to_noise(x, y), expected)


def test_small_images_are_seen_through_one_smaller_window():
    """A side of 8 leaves room for 7: the similarity at each place by the definition, weighted sums over the window."""
    x, y = pairs(2, 1, 8, 9)
    line = torch.exp(-((torch.arange(7) - 3.0) ** 2) / (2 * 1.5**2)).double()
    weight = torch.outer(line, line) / line.sum() ** 2
    places = []
    for row in range(2):
        for column in range(3):
            a, b = (p[:, 0, row : row + 7, column : column + 7].double() for p in (x, y))
            mean_a, mean_b = (weight * a).sum((1, 2)), (weight * b).sum((1, 2))
            off_a, off_b = a - mean_a[:, None, None], b - mean_b[:, None, None]
            var_a, var_b, covariance = ((weight * p).sum((1, 2)) for p in (off_a**2, off_b**2, off_a * off_b))
            places.append(
                ((2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4))
                / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
            )
    torch.testing.assert_close(structural_similarity(x, y), torch.stack(places).mean(0))


def test_equal_images_are_perfect():
    x = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(structural_similarity(x, x), torch.ones(3).double())
    assert (mean_squared_error(x, x) == 0).all() and (peak_signal_to_noise(x, x) == torch.inf).all()


def test_every_image_is_judged_alone():
    x, y = pairs(6, 3, 12, 12)
    for metric in (mean_squared_error, peak_signal_to_noise, structural_similarity):
        torch.testing.assert_close(metric(x, y), torch.cat([metric(x[i : i + 1], y[i : i + 1]) for i in range(6)]))
