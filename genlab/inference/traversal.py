"""Perturbation analysis: hold all latents but one, move that one, and look at what it does to the image.

References:
- Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, https://openreview.net/forum?id=Sy2fzU9gl (appendix)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


def check_latents(latents: Sequence[int], size: int) -> None:
    """`ValueError` unless `latents` are numbers of a model's `size` latents, at least one and none twice."""
    _check_range("latents", latents, size)
    if not latents or len(set(latents)) < len(latents):
        raise ValueError(f"{_text('latents', latents)}: name at least one latent, and none twice")


def check_plane(latents: Sequence[int], size: int) -> None:
    """`ValueError` unless `latents` are two different numbers of a model's `size` latents."""
    _check_range("plane", latents, size)
    if len(latents) != 2 or latents[0] == latents[1]:
        raise ValueError(f"{_text('plane', latents)}: give two different latents, as in plane=[0,3]")


def _check_range(key: str, latents: Sequence[int], size: int) -> None:
    if not all(0 <= latent < size for latent in latents):
        raise ValueError(f"{_text(key, latents)}: this run has the latents 0 to {size - 1}")


def _text(key: str, latents: Sequence[int]) -> str:
    return f"{key}=[{','.join(map(str, latents))}]"


def one_at_a_time(start: Tensor, latents: Sequence[int], values: Tensor) -> Tensor:
    """Row k is `start` [L] with latent `latents[k]` set to `values` [S], or to `values[k]` of [K, S]: [K, S, L]."""
    values = values.expand(len(latents), values.shape[-1])
    z = start.repeat(*values.shape, 1)
    for row, latent in enumerate(latents):
        z[row, :, latent] = values[row]
    return z


@dataclass
class Span:
    """Where a traversal begins and how far it goes: from centre - extent * scale to centre + extent * scale.

    start: the latents that are held [L]; centre, scale [L]: of all latents, so that rows of another start cover the
    same range and stay where the decoder has been trained.
    """

    start: Tensor
    centre: Tensor
    scale: Tensor
    extent: float

    def values(self, times: Tensor) -> Tensor:
        """What each latent is set to at `times` [S], 0 to 1: [L, S]."""
        return self.centre[:, None] + self.scale[:, None] * self.extent * (2 * times - 1)

    def rows(self, latents: Sequence[int], times: Tensor) -> Tensor:
        """A latent each row, moved along it: [K, S, L]."""
        return one_at_a_time(self.start, latents, self.values(times)[list(latents)])

    def plane(self, down: int, across: int, times: Tensor) -> Tensor:
        """Two latents, `down` moved from row to row and `across` along each: [S, S, L]."""
        values = self.values(times)
        z = self.start.repeat(len(times), len(times), 1)
        z[:, :, down] = values[down][:, None]
        z[:, :, across] = values[across]
        return z


def changes(images: Tensor) -> Tensor:
    """How far a row [K, S, C, H, W] moves its pixels from end to end, [K]: mean over pixels of sum_s |x_(s+1) - x_s|.

    In units of the range of a pixel. A sum of steps, not the distance of the ends, since a row can come back.
    """
    return images.diff(dim=1).abs().sum(1).flatten(1).mean(1)
