"""Latent traversals: vary one latent dimension, fix the others, and see how the image changes.

References:
- Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, https://openreview.net/forum?id=Sy2fzU9gl (appendix)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


def check_latents(latents: Sequence[int], size: int, key: str = "latents") -> None:
    """`ValueError` unless `latents` are distinct indices of `size` latent dimensions, at least one."""
    given = f"{key}=[{','.join(map(str, latents))}]"
    if not all(0 <= latent < size for latent in latents):
        raise ValueError(f"{given}: this run has the latents 0 to {size - 1}")
    if not latents or len(set(latents)) < len(latents):
        raise ValueError(f"{given}: name at least one latent, and none twice")


def check_plane(latents: Sequence[int], size: int) -> None:
    """`ValueError` unless `latents` are two different indices of `size` latent dimensions."""
    if len(latents) != 2 or latents[0] == latents[1]:
        raise ValueError(f"plane=[{','.join(map(str, latents))}]: give two different latents, as in plane=[0,3]")
    check_latents(latents, size, "plane")


def one_at_a_time(start: Tensor, latents: Sequence[int], values: Tensor) -> Tensor:
    """[K, S, L]: row k is `start` [L] with dimension `latents[k]` set to `values` [S], or `values[k]` if [K, S]."""
    values = values.expand(len(latents), values.shape[-1])
    z = start.repeat(*values.shape, 1)
    for row, latent in enumerate(latents):
        z[row, :, latent] = values[row]
    return z


@dataclass
class Span:
    """Start and range of a traversal: each dimension goes from centre - extent * scale to centre + extent * scale.

    start: values [L] of the fixed dimensions. centre, scale [L]: independent of the start, so that all traversals cover
    the same range, on which the decoder was trained.
    """

    start: Tensor
    centre: Tensor
    scale: Tensor
    extent: float

    def values(self, times: Tensor) -> Tensor:
        """Values of each dimension at `times` [S] in [0, 1]: [L, S]."""
        return self.centre[:, None] + self.scale[:, None] * self.extent * (2 * times - 1)

    def rows(self, latents: Sequence[int], times: Tensor) -> Tensor:
        """One row per entry of `latents`, which varies along it: [K, S, L]."""
        return one_at_a_time(self.start, latents, self.values(times)[list(latents)])

    def plane(self, down: int, across: int, times: Tensor) -> Tensor:
        """A grid of two dimensions: `down` varies over the rows, `across` along each row: [S, S, L]."""
        values = self.values(times)
        z = self.start.repeat(len(times), len(times), 1)
        z[:, :, down] = values[down][:, None]
        z[:, :, across] = values[across]
        return z


def changes(images: Tensor) -> Tensor:
    """How much a row [K, S, C, H, W] changes its pixels from end to end, [K]: pixel mean of sum_s |x_(s+1) - x_s|.

    In units of the pixel range. The steps are summed, since a row may come back to where it started.
    """
    return images.diff(dim=1).abs().sum(1).flatten(1).mean(1)
