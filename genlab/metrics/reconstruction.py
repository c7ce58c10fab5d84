"""Reconstruction errors, one value per image.

Reference: Wang, Bovik, Sheikh, Simoncelli 2004, Image Quality Assessment: From Error Visibility to Structural
Similarity, https://doi.org/10.1109/TIP.2003.819861
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from genlab.system.portions import over_rows

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # keep the ratios of SSIM finite; for a range of 1


def mean_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean over channels and pixels of (x - y)^2 for images [N, C, H, W] in [0, 1]: float64 [N] on the CPU."""
    return over_rows(lambda x, y: (_exact(x) - _exact(y)).square().flatten(1).mean(1), x, y, copies=8)


def peak_signal_to_noise(x: Tensor, y: Tensor) -> Tensor:
    """PSNR = -10 log10 MSE in dB for images [N, C, H, W] in [0, 1]: float64 [N]; infinite for equal images."""
    return -10 * mean_squared_error(x, y).log10()


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of images [N, C, H, W] in [0, 1]: float64 [N] in [-1, 1], 1 for equal images.

    As published: local moments in a Gaussian window of 11x11 pixels and sigma 1.5 at all positions where it fits into
    the image, then the mean over positions and channels. If a side is shorter than 11 pixels, the window shrinks to the
    largest odd size that fits (with the same sigma), and values are not comparable with published ones.
    """
    return over_rows(_structural_similarity, x, y, copies=40)


def mean_absolute_gradient(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, down and right, of images [N, C, H, W]: [N]."""
    down, right = x.diff(dim=-2).abs().flatten(1).mean(1), x.diff(dim=-1).abs().flatten(1).mean(1)
    return (down + right) / 2


def _structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    x, y = _exact(x), _exact(y)
    window = _gaussian_window(min(_WINDOW, (min(x.shape[-2:]) - 1) // 2 * 2 + 1))
    mean_x, mean_y, xx, yy, xy = (_local_mean(values, window) for values in (x, y, x * x, y * y, x * y))
    var_x, var_y, covariance = xx - mean_x.square(), yy - mean_y.square(), xy - mean_x * mean_y
    # (2 mu_x mu_y + C1)(2 sigma_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(sigma_x^2 + sigma_y^2 + C2))
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (luminance * structure).flatten(1).mean(1)


def _exact(images: Tensor) -> Tensor:
    """float64 on the CPU: local variances are differences of nearly equal values, and not every device has float64."""
    return images.cpu().double()


def _gaussian_window(size: int) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    window = (-(offsets / _SIGMA).square() / 2).exp()
    return window / window.sum()


def _local_mean(values: Tensor, window: Tensor) -> Tensor:
    """Over rows, then columns, as the window is separable: [N, C, H, W] -> [N, C, H - size + 1, W - size + 1]."""
    planes = values.flatten(0, 1).unsqueeze(1)
    return conv2d(conv2d(planes, window[None, None, None, :]), window[None, None, :, None]).view(
        *values.shape[:2], values.shape[2] - len(window) + 1, values.shape[3] - len(window) + 1
    )
