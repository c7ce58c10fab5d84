"""Checks shared by several datasets: a `ValueError` names the key, the value and a fix."""

from math import inf, prod

import numpy as np

from genlab.contract.data import ImageShape
from genlab.system import memory

LEAST_SCALE, MOST_SCALE = 1e-30, 1e30
"""Bounds on the settings and the standard deviations of points, well within float32."""

_LEAST_STEPS = 1000  # of float32 in a standard deviation


def check_range(key: str, value: float, low: float, high: float = inf) -> None:
    """`ValueError` if `dataset.KEY` is outside [low, high]."""
    if not low <= value <= high:
        allowed = f"{low} or more" if high == inf else f"{low} to {high}"
        raise ValueError(f"dataset.{key}={value} is out of range. Give {allowed}.")


def check_scale(**values: float) -> None:
    """`ValueError` unless all `values`, of the dataset's settings with these names, are positive and fit in float32."""
    for key, value in values.items():
        check_range(key, value, LEAST_SCALE, MOST_SCALE)


def check_moments(where: str, mean: float, deviation: float, advice: str) -> None:
    """`ValueError` if numbers with this mean and standard deviation, not 0, lose their differences in float32."""
    if not LEAST_SCALE <= deviation <= MOST_SCALE:
        allowed = f"{LEAST_SCALE:g} to {MOST_SCALE:g}"
        raise ValueError(f"{where}: has standard deviation {deviation:.3g}. Use units in which it is {allowed}.")
    if deviation < _LEAST_STEPS * float(np.spacing(np.float32(abs(mean)))):
        raise ValueError(
            f"{where}: has mean {mean:.6g} and standard deviation {deviation:.3g}, too fine for float32; {advice}."
        )


def check_choice(key: str, value: object, choices: tuple) -> None:
    """`ValueError` if `dataset.KEY` is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"dataset.{key}={value} is not known. Give one of: {', '.join(map(str, choices))}.")


def check_table(sizes: dict[str, int], shape: ImageShape, number_bytes: int = 1) -> None:
    """`ValueError` if a table of images does not fit in memory. number_bytes: memory per channel value."""
    count = sum(sizes.values())
    memory.check(
        count * prod(shape) * number_bytes,
        f"dataset: {count} images of {'x'.join(map(str, shape))} (channels, height, width) need",
        "ask for fewer images, or for smaller ones, as in dataset.size=32",
    )
