"""Training curves as inline SVG, with one colour per run and a legend."""

import math
from dataclasses import dataclass
from html import escape
from typing import Any

from genlab.comparison.comparison import Comparison
from genlab.comparison.records import Record
from genlab.comparison.rows import Row

_WIDTH, _HEIGHT = 340, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 8, 24
_POINTS = 200
_DIVERGED = 1e30


@dataclass
class RunOnPage:
    """A run on the page: its row, its index from the top, its colour, and its name within the row."""

    record: Record
    row: Row
    number: int
    colour: str
    short: str

    @property
    def dot(self) -> str:
        return f'<i class="dot" style="{self.colour}"></i>'

    @property
    def caption(self) -> str:
        return f"{self.row.label}, {self.short}" if len(self.row.records) > 1 else self.row.label


def runs_on_page(comparison: Comparison) -> list[RunOnPage]:
    """All runs in the order of the table: one hue per row, one lightness per run in it."""
    runs: list[RunOnPage] = []
    rows = len(comparison.rows)
    for place, row in enumerate(comparison.rows):
        hue = 255 + (360 * place / rows if rows <= 12 else 137.5 * place)
        for index, record in enumerate(row.records):
            shade = 0.16 * (index / max(1, len(row.records) - 1) - 0.5)
            colour = f"--run: oklch(calc(var(--light) + {shade:.3f}) 0.13 {hue % 360:.0f})"
            short = f"seed {record.settings.get('seed')}" if len(row.records) > 1 else record.name
            runs.append(RunOnPage(record, row, len(runs), colour, short))
    return runs


def curves(comparison: Comparison, runs: list[RunOnPage]) -> str:
    """One chart per logged scalar: the sorting metric first, then the training loss."""
    names = dict.fromkeys(name for record in comparison.records for name in record.curves)
    if not names:
        return ""
    ordered = sorted(names, key=lambda name: (name != comparison.metric, name != "train/loss"))
    charts = "".join(_chart(comparison, runs, name) for name in ordered)
    return f'<h2>Curves</h2>{_legend(comparison, runs)}<div class="grid">{charts}</div>'


def _legend(comparison: Comparison, runs: list[RunOnPage]) -> str:
    entries = []
    for row in comparison.rows:
        own = [run for run in runs if run.row is row]
        if len(own) == 1:
            entries.append(f'<li><span data-run="{own[0].number}">{own[0].dot}{escape(row.label)}</span></li>')
            continue
        numbers = " ".join(str(run.number) for run in own)
        parts = "".join(f'<span data-run="{run.number}">{run.dot}{escape(run.short)}</span>' for run in own)
        entries.append(f'<li><b data-run="{numbers}">{escape(row.label)}</b>{parts}</li>')
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _chart(comparison: Comparison, runs: list[RunOnPage], name: str) -> str:
    shown = [[point for point in run.record.curves.get(name, []) if abs(point[1]) < _DIVERGED] for run in runs]
    lines = {number: _thinned(points) for number, points in enumerate(shown) if points}
    if not lines:
        return ""
    steps = [step for points in lines.values() for step, _ in points]
    values = [value for points in lines.values() for _, value in points]
    # On a linear axis, a loss that falls by orders of magnitude would look flat.
    logarithmic = min(values) > 1 / _DIVERGED and max(values) > 30 * min(values)
    height = math.log10 if logarithmic else float
    low, high = height(min(values)), height(max(values))
    if high - low <= max(1e-9 * abs(high), 1 / _DIVERGED):
        room = 0.5 * (abs(high) if abs(high) > 1 / _DIVERGED else 1)
        low, high = low - room, high + room
    first, last = min(0, *steps), max(1, *steps)

    def across(step: float) -> float:
        return round(_LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def up(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (height(value) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    drawn = []
    for tick in _decades(low, high) if logarithmic else _ticks(low, high):
        drawn.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(tick)}" y2="{up(tick)}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{up(tick) + 3.5:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in _ticks(first, last):
        drawn.append(f'<text x="{across(tick)}" y="{_HEIGHT - 7}" text-anchor="middle">{tick:g}</text>')
    for number, points in lines.items():
        label = f"<title>{escape(runs[number].caption)}</title>"
        attributes = f'class="run" data-run="{number}" style="{runs[number].colour}"'
        if len(points) == 1:
            (step, value) = points[0]
            drawn.append(f'<circle {attributes} cx="{across(step)}" cy="{up(value)}" r="2.5">{label}</circle>')
        else:
            path = " ".join(f"{across(step)},{up(value)}" for step, value in points)
            drawn.append(f'<polyline {attributes} points="{path}">{label}</polyline>')
    note = ", ".join(filter(None, [better(comparison, name), when(logarithmic, "logarithmic")]))
    image = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}">{"".join(drawn)}</svg>'
    return f'<figure class="card chart"><figcaption>{escape(name)} <small>{note}</small></figcaption>{image}</figure>'


def _thinned(points: list) -> list:
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


def better(comparison: Comparison, metric: str) -> str:
    return {"max": "higher is better", "min": "lower is better"}.get(comparison.directions.get(metric, ""), "")


def when(condition: Any, text: str) -> str:
    return text if condition else ""
