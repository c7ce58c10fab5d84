"""Refusals that several datasets share: one `ValueError` naming the key, the value and the way out."""

from math import inf, prod

from genlab.system import memory


def check_range(key: str, value: float, low: float, high: float = inf) -> None:
    """Refuse `dataset.KEY` outside [low, high]."""
    if not low <= value <= high:
        allowed = f"{low} or more" if high == inf else f"{low} to {high}"
        raise ValueError(f"dataset.{key}={value} is out of range. Give {allowed}.")


def check_choice(key: str, value: object, choices: tuple) -> None:
    """Refuse `dataset.KEY` that is none of `choices`."""
    if value not in choices:
        raise ValueError(f"dataset.{key}={value} is not known. Give one of: {', '.join(map(str, choices))}.")


def check_fraction(key: str, value: float) -> None:
    """Refuse `dataset.KEY` that is not strictly between 0 and 1: both splits need images."""
    if not 0 < value < 1:
        raise ValueError(f"dataset.{key}={value} must lie between 0 and 1, both excluded, as in dataset.{key}=0.1")


def check_table(sizes: dict[str, int], shape: tuple[int, int, int], number_bytes: int = 1) -> None:
    """Refuse a table of images that this machine cannot hold; number_bytes: taken for each of their numbers."""
    count = sum(sizes.values())
    memory.check(
        count * prod(shape) * number_bytes,
        f"dataset: {count} images of {'x'.join(map(str, shape))} (channels, height, width) need",
        "ask for fewer images, or for smaller ones, as in dataset.size=32",
    )
