"""Training curves in the coordinates of an SVG image: axes, and one line per run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_POINTS = 200
_DIVERGED = 1e30


_WIDTH, _HEIGHT = 280, 178
"""Size of the plot in the template."""


@dataclass
class Chart:
    """A logged scalar of all runs.

    heights, steps: position and text of the ticks of the vertical and the horizontal axis. lines: points by run.
    """

    name: str
    logarithmic: bool
    heights: list[tuple[float, str]]
    steps: list[tuple[float, str]]
    lines: dict[int, list[Point]]


def chart(name: str, curves: Mapping[int, Sequence[Point]]) -> Chart | None:
    """The chart of `curves`: points (step, value) by run. None if there are none, or all have diverged."""
    kept = {run: [point for point in points if abs(point[1]) < _DIVERGED] for run, points in curves.items()}
    lines = {run: _thinned(points) for run, points in kept.items() if points}
    if not lines:
        return None
    steps, values = zip(*(point for points in lines.values() for point in points), strict=True)
    # On a linear axis, a loss that falls by orders of magnitude would look flat.
    logarithmic = min(values) > 1 / _DIVERGED and max(values) > 30 * min(values)
    height = math.log10 if logarithmic else float
    low, high = height(min(values)), height(max(values))
    if high - low <= max(1e-9 * abs(high), 1 / _DIVERGED):
        room = 0.5 * (abs(high) if abs(high) > 1 / _DIVERGED else 1)
        low, high = low - room, high + room
    first, last = min(0, *steps), max(1, *steps)

    def across(step: float) -> float:
        return round((step - first) / (last - first) * _WIDTH, 1)

    def up(value: float) -> float:
        return round((high - height(value)) / (high - low) * _HEIGHT, 1)

    return Chart(
        name,
        logarithmic,
        [(up(tick), f"{tick:.4g}") for tick in (_decades(low, high) if logarithmic else _ticks(low, high))],
        [(across(tick), f"{tick:g}") for tick in _ticks(first, last)],
        {run: [(across(step), up(value)) for step, value in points] for run, points in lines.items()},
    )


def _thinned(points: list[Point]) -> list[Point]:
    """Every k-th point and the last: at most `_POINTS` and one."""
    every = math.ceil(len(points) / _POINTS)
    return points[::every] + (points[-1:] if (len(points) - 1) % every else [])


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between `low` and `high`."""
    raw = (high - low) / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= raw * 0.75)
    return [round(step * k, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between 10^low and 10^high; if these are few, also 2 and 5 times a power of ten."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    every = [f * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for f in factors]
    return [tick for tick in every if low <= math.log10(tick) <= high]
