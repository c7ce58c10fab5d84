"""Linear operators A that take something from images, with the pseudo-inverse A+ that gives back what can be given.

Images x are [N, C, H, W]. A A+ y = y for every y = A x.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

_LOST = 0.1
"""Of a blur: what it leaves less than this share of is lost."""


@dataclass(frozen=True)
class Operator:
    """apply: A. inverse: A+. answer: a simple answer [N, C, H, W] from y, to compare with; what it is called. seen: y
    as images of the whole size."""

    apply: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    answer: Callable[[Tensor], Tensor]
    answer_name: str
    seen: Callable[[Tensor], Tensor]

    def project(self, x: Tensor, y: Tensor) -> Tensor:
        """The image nearest to x that gives y."""
        return x + self.inverse(y - self.apply(x))


def masked(kept: Tensor) -> Operator:
    """Hides pixels; kept: [H, W], 1 where an image is seen and 0 where it is not."""

    def apply(x: Tensor) -> Tensor:
        return x * kept.to(x)

    def filled(y: Tensor) -> Tensor:
        mask = kept.to(y)
        mean = y.sum((-2, -1), keepdim=True) / mask.sum().clamp(min=1)
        return y + (1 - mask) * mean

    return Operator(apply, apply, filled, "mean of the rest", lambda y: y + (1 - kept.to(y)) / 2)


def grey(channels: int) -> Operator:
    """Mean of the channels."""

    def spread(y: Tensor) -> Tensor:
        return y.expand(-1, channels, -1, -1)

    return Operator(lambda x: x.mean(1, keepdim=True), spread, spread, "grey", spread)


def pooled(height: int, width: int, scale: int) -> Operator:
    """Means of blocks of `scale` by `scale` pixels. `ValueError` if they do not fill the image."""
    if height % scale or width % scale:
        raise ValueError(f"scale={scale}: {height}x{width} is no multiple of it")

    def enlarged(y: Tensor) -> Tensor:
        return interpolate(y, (height, width), mode="bicubic").clamp(0, 1)

    def repeated(y: Tensor) -> Tensor:
        return y.repeat_interleave(scale, -2).repeat_interleave(scale, -1)

    return Operator(lambda x: avg_pool2d(x, scale), repeated, enlarged, "bicubic", repeated)


def blurred(height: int, width: int, deviation: float) -> Operator:
    """A Gaussian, of a deviation in pixels, without what it all but removes, so that A+ amplifies no rounding."""
    rows, columns = (_low_rank(_gaussian(side, deviation)) for side in (height, width))

    def along_both(left: Tensor, right: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: left.to(x) @ x @ right.to(x).T

    def as_it_is(y: Tensor) -> Tensor:
        return y.clamp(0, 1)

    blur, sharpen = (along_both(*pair) for pair in zip(rows, columns, strict=True))
    return Operator(blur, sharpen, as_it_is, "blurred", as_it_is)


def _gaussian(side: int, deviation: float) -> Tensor:
    """[side, side], rows of sum 1."""
    place = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * deviation**2))
    return weights / weights.sum(1, keepdim=True)


def _low_rank(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix without its smallest singular values, and its pseudo-inverse."""
    u, s, v = torch.linalg.svd(matrix)
    s = torch.where(s < _LOST, 0, s)
    inverse = torch.where(s > 0, 1 / s, 0)
    return u * s @ v, (v.T * inverse) @ u.T
