"""Table of latents and ground-truth factors, the input of all disentanglement scores."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

_FEWEST = 10  # minimum examples per value; with fewer, groups would repeat the same few images


@dataclass(frozen=True)
class Table:
    """latents: float64 [N, L]. factors: float64 [N, F], those with at least two values.

    values: int64 [N, F], rank of each factor's value, from 0. columns: original column of each factor.
    """

    latents: np.ndarray
    factors: np.ndarray
    values: np.ndarray
    columns: list[int]

    @property
    def num_factors(self) -> int:
        return len(self.columns)

    def partners(self, factor: int, rows: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
        """For each of `rows`, `size` random rows with the same value of `factor`: [len(rows), size].

        Drawn with replacement. `ValueError` if a value occurs too rarely.
        """
        values = self.values[:, factor]
        counts = np.bincount(values)
        if counts.min() < _FEWEST:
            rare = self.factors[values == counts.argmin(), factor][0]
            raise ValueError(
                f"factors: column {self.columns[factor]} is {rare:g} in only {counts.min()} examples; scores that "
                f"hold a factor fixed need {_FEWEST} of each value: give more examples"
            )
        by_value, first = np.argsort(values, kind="stable"), np.cumsum(counts) - counts
        value = values[rows][:, None]
        return by_value[first[value] + generator.integers(counts[value], size=(len(rows), size))]


def tabulate(latents: Tensor, factors: Tensor) -> Table:
    """The table of latents [N, L] and factors [N, F] (discrete values); factors with a single value are dropped.

    `ValueError` if rows do not match, values are not finite, or no factor varies.
    """
    z, v = (tensor.detach().cpu().double().numpy() for tensor in (latents, factors))
    for name, array in (("latents", z), ("factors", v)):
        if array.ndim != 2 or not np.isfinite(array).all():
            raise ValueError(f"{name}: must be a table [examples, numbers] of finite numbers, not {array.shape}")
    if len(z) != len(v):
        raise ValueError(f"latents: {len(z)} rows do not match the {len(v)} rows of factors")
    varying = [column for column in range(v.shape[1]) if len(np.unique(v[:, column])) > 1]
    if not varying:
        raise ValueError("factors: none takes more than one value; give examples in which some factor varies")
    v = v[:, varying]
    values = [np.unique(factor, return_inverse=True)[1] for factor in v.T]
    return Table(z, v, np.stack(values, axis=1), varying)
