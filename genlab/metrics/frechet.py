"""The Frechet distance between two sets of features, each modelled as a Gaussian.

References:
    GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017)
    https://arxiv.org/abs/1706.08500
    The Frechet distance between multivariate normal distributions (Dowson, Landau, 1982)
    https://doi.org/10.1016/0047-259X(82)90077-X
    Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan, Golub, LeVeque, 1979)
"""

import torch
from torch import Tensor

from genlab.system.portions import rows_at_once


class Moments:
    """Mean and covariance of features that arrive in chunks, in float64 on the CPU; memory D^2, for any count."""

    def __init__(self, num_features: int):
        self.count = 0
        self.mean = torch.zeros(num_features, dtype=torch.float64)
        self.scatter = torch.zeros(num_features, num_features, dtype=torch.float64)  # sum of (x - mean) (x - mean)^T

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """The moments of features [N, D]."""
        moments = cls(features.shape[1])
        moments.update(features)
        return moments

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "Moments":
        """Restore from `state_dict`."""
        moments = cls(len(state["mean"]))
        moments.count, moments.mean, moments.scatter = int(state["count"]), state["mean"], state["scatter"]
        return moments

    def state_dict(self) -> dict[str, Tensor]:
        return {"count": torch.tensor(self.count), "mean": self.mean, "scatter": self.scatter}

    @property
    def covariance(self) -> Tensor:
        """The unbiased estimate [D, D]. `ValueError` for fewer than two features."""
        if self.count < 2:
            raise ValueError(f"a covariance needs two samples or more, and there are {self.count}")
        return self.scatter / (self.count - 1)

    def update(self, features: Tensor) -> None:
        """Add features [N, D]; N may be 0."""
        if not len(features):
            return
        features = features.detach().to("cpu", torch.float64)
        count, mean = len(features), features.mean(0)
        centred, total, shift = features - mean, self.count + count, mean - self.mean
        # S = S_a + S_b + n_a n_b / n (mu_b - mu_a) (mu_b - mu_a)^T, which avoids cancellation.
        for rows in torch.arange(len(mean)).split(rows_at_once(mean.shape, most=len(mean), copies=4)):
            part = centred.T[rows] @ centred + torch.outer(shift[rows], shift) * (self.count * count / total)
            self.scatter[rows] += part
        self.mean = self.mean + shift * (count / total)
        self.count = total


def frechet_distance(a: Moments, b: Moments) -> float:
    """d^2 = |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), 0 or more: the squared distance, as papers report it.

    C_a C_b has the eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2), so the trace of its square root needs no
    general matrix square root, and low-rank covariances are no special case.
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = root @ b.covariance @ root
    trace = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * trace
    return max(distance.item(), 0.0)
