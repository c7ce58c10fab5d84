"""Checks shared by several datasets: a `ValueError` names the key, the value and a fix."""

from math import inf, prod

from genlab.contract.data import ImageShape
from genlab.system import memory


def check_range(key: str, value: float, low: float, high: float = inf) -> None:
    """`ValueError` if `dataset.KEY` is outside [low, high]."""
    if not low <= value <= high:
        allowed = f"{low} or more" if high == inf else f"{low} to {high}"
        raise ValueError(f"dataset.{key}={value} is out of range. Give {allowed}.")


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
