"""Errors of colour as people see it, in CIELAB (CIE 1976) with white point D65.

Reference: Zhang, Isola, Efros 2016, Colorful Image Colorization, https://arxiv.org/abs/1603.08511, who predict the two
chroma coordinates of an image from its lightness.
"""

import torch
from torch import Tensor

_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""From linear red, green and blue of sRGB (IEC 61966-2-1)."""

_WHITE = (0.95047, 1.0, 1.08883)
_BEND = 6 / 29


def to_lab(x: Tensor) -> Tensor:
    """sRGB images [N, 3, H, W] in [0, 1] to CIELAB [N, 3, H, W]: L in [0, 100], a and b about in [-110, 110]."""
    x = x.clamp(0, 1)
    linear = torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    matrix = x.new_tensor(_XYZ)[:, :, None, None] / x.new_tensor(_WHITE)[:, None, None, None]
    xyz = torch.stack([(row * linear).sum(1) for row in matrix], 1)
    f = torch.where(xyz > _BEND**3, xyz.clamp(min=_BEND**3) ** (1 / 3), xyz / (3 * _BEND**2) + 4 / 29)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def chroma_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean Euclidean distance of the coordinates (a, b) of CIELAB, over the pixels of images [N, 3, H, W]: [N]."""
    return (to_lab(x) - to_lab(y))[:, 1:].norm(dim=1).flatten(1).mean(1)
