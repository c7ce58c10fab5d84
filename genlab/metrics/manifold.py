"""Overlap of the distributions of samples and real images: precision and recall, density and coverage.

Each feature gets a ball, whose radius is the distance to the k-th nearest neighbour in the feature's own set.

References:
    Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi, Karras, Laine, Lehtinen, Aila,
    2019) https://arxiv.org/abs/1904.06991
    Reliable Fidelity and Diversity Metrics for Generative Models (Naeem, Oh, Uh, Choi, Yoo, 2020)
    https://arxiv.org/abs/2002.09797
"""

import torch
from torch import Tensor

_CHUNK = 1_000


def manifold_metrics(
    samples: Tensor, real: Tensor, *, precision_neighbours: int = 3, density_neighbours: int = 5
) -> dict[str, float | int]:
    """All four for samples [N, D] and real features [M, D], in tiles of a thousand rows.

    precision: fraction of samples within the ball (k = precision_neighbours) of any real feature.
    recall: fraction of real features within the ball of any sample.
    density: mean number of real balls (k = density_neighbours) that contain a sample, divided by k; may exceed 1.
    coverage: fraction of real balls that contain a sample.
    All depend on N and M: compare at equal counts only.
    """
    most = max(precision_neighbours, density_neighbours)
    for name, count in (("samples", len(samples)), ("real features", len(real))):
        if count <= most:
            raise ValueError(f"precision and coverage with {most} neighbours need more than {most} {name}, not {count}")
    samples, real = samples - real.mean(0), real - real.mean(0)  # leaves distances unchanged, reduces rounding errors
    precise, dense = radii(real, precision_neighbours, density_neighbours).unbind(1)
    (reach,) = radii(samples, precision_neighbours).unbind(1)
    inside = balls = 0.0
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    for part, part_reach in zip(samples.split(_CHUNK), reach.split(_CHUNK), strict=True):
        distances = torch.cdist(part, real)
        inside += (distances <= precise).any(1).sum().item()
        recalled |= (distances <= part_reach[:, None]).any(0)
        within = distances <= dense
        balls += within.sum().item()
        covered |= within.any(0)
    return {
        "precision": inside / len(samples),
        "recall": recalled.double().mean().item(),
        "density": balls / (density_neighbours * len(samples)),
        "coverage": covered.double().mean().item(),
        "precision_neighbours": precision_neighbours,
        "density_neighbours": density_neighbours,
        "samples": len(samples),
        "real": len(real),
    }


def radii(x: Tensor, *neighbours: int) -> Tensor:
    """Distances [N, len(neighbours)] of each row of x [N, D] to its k-th nearest neighbours among the others."""
    # Each point is its own nearest neighbour, at position 0.
    nearest = [torch.cdist(part, x).topk(max(neighbours) + 1, largest=False).values for part in x.split(_CHUNK)]
    return torch.cat(nearest)[:, list(neighbours)]
