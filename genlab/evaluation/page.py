"""A comparison of runs as one HTML file that needs nothing else: no network, no other file, pictures inside.

All text of the runs is escaped, and the page's own policy forbids it to load anything.
"""

import base64
import io
import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from genlab.evaluation.comparison import Comparison, Record, Row, short_key

_WIDTH, _HEIGHT = 340, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 8, 24
_POINTS = 200
_DIVERGED = 1e30
_PICTURE = 360
_KEYS, _DIFFERENCES = 4, 12

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #fff; --ink: #22252a; --soft: #6d727b; --line: #e4e2dd;
  --mark: #e6f2ea; --accent: #2c7a4b; --light: 0.56 }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --card: #1e2125; --ink: #e6e6e3; --soft: #989da6;
  --line: #32363c; --mark: #20382a; --accent: #7cc797; --light: 0.7 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1300px; margin: 0 auto; padding: 40px 24px 64px }
h1 { font-size: 28px; font-weight: 600; letter-spacing: -0.01em; line-height: 1.2; margin: 0 0 6px }
h2 { font-size: 17px; font-weight: 600; margin: 44px 0 12px }
p { margin: 0 0 12px }
.soft, figcaption, th small, td small { color: var(--soft) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.best { display: flex; flex-wrap: wrap; gap: 12px 40px; align-items: center; padding: 18px 22px; margin-top: 24px }
.best b { display: block; font-size: 21px; font-weight: 600; overflow-wrap: anywhere }
.best code { overflow-wrap: anywhere }
code { font: 13px ui-monospace, monospace }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px }
th, td { padding: 9px 12px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line) }
tbody tr:last-child > * { border-bottom: 0 }
thead small { font-weight: 400; font-size: 12px }
thead th { font-size: 13px; line-height: 1.3; font-weight: 600; color: var(--soft); cursor: default;
  vertical-align: bottom }
.sortable thead th { cursor: pointer }
th[aria-sort] { color: var(--ink) }
th[aria-sort=ascending]::after { content: " \\2191" }
th[aria-sort=descending]::after { content: " \\2193" }
tbody th { font-weight: 500 }
tr > :first-child { position: sticky; left: 0; background: var(--card) }
.number { text-align: right }
.top { background: var(--mark); font-weight: 600 }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 8px; background: var(--run) }
.dots { display: inline-flex; gap: 3px; margin-right: 9px } .dots .dot { margin: 0 }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)) }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(170px, 46%), 1fr)) }
figure { margin: 0; padding: 12px } figure img { width: 100%; height: auto; display: block; border-radius: 4px }
figcaption { font-size: 13px; overflow-wrap: anywhere } figure img + figcaption { margin-top: 8px }
.chart figcaption { color: var(--ink); font-weight: 600; margin-bottom: 6px }
.chart figcaption small { font-weight: 400; color: var(--soft) }
svg { width: 100%; height: auto; display: block } svg text { font-size: 10.5px; fill: var(--soft) }
svg .rule { stroke: var(--line); stroke-width: 1 }
svg polyline { fill: none; stroke: var(--run); stroke-width: 1.6; stroke-linejoin: round }
svg circle { fill: var(--run) }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 0 0 14px; padding: 0; list-style: none;
  font-size: 13px }
.legend > li { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 10px }
.run { transition: opacity 0.15s } .choosing .run:not(.chosen) { opacity: 0.12 }
details { margin-top: 14px } summary { cursor: pointer; color: var(--soft) }
details[open] > summary { margin-bottom: 12px }
@media (max-width: 600px) { main { padding: 24px 14px 48px } h1 { font-size: 23px } th, td { padding: 8px 10px }
  figure { padding: 8px } }
"""

_SCRIPT = """
for (const head of document.querySelectorAll('.sortable thead th')) head.onclick = () => {
  const way = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1, body = head.closest('table').tBodies[0];
  const value = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const number = text => text.trim() === '' ? NaN : Number(text);
  const order = (a, b) => isNaN(number(a)) || isNaN(number(b))
    ? isNaN(number(a)) - isNaN(number(b)) || way * a.localeCompare(b) : way * (number(a) - number(b));
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', way === 1 ? 'ascending' : 'descending');
  body.append(...[...body.rows].sort((a, b) => order(value(a), value(b))));
};
for (const entry of document.querySelectorAll('.legend [data-run]')) {
  const show = on => {
    document.body.classList.toggle('choosing', on);
    for (const part of document.querySelectorAll('.run'))
      part.classList.toggle('chosen', on && entry.dataset.run.split(' ').includes(part.dataset.run));
  };
  entry.onmouseenter = () => show(true);
  entry.onmouseleave = () => show(false);
}
"""


@dataclass
class _Run:
    """One run on the page: its row, its number from the top, its colour, and its name within the row."""

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


def _runs(comparison: Comparison) -> list[_Run]:
    """All runs from the top of the table on: a hue for each row, a lightness for each of its runs."""
    runs, rows = [], len(comparison.rows)
    for place, row in enumerate(comparison.rows):
        hue = 255 + (360 * place / rows if rows <= 12 else 137.5 * place)
        for turn, record in enumerate(row.records):
            shade = 0.16 * (turn / max(1, len(row.records) - 1) - 0.5)
            colour = f"--run: oklch(calc(var(--light) + {shade:.3f}) 0.13 {hue % 360:.0f})"
            short = f"seed {record.settings.get('seed')}" if len(row.records) > 1 else record.name
            runs.append(_Run(record, row, len(runs), colour, short))
    return runs


def page(comparison: Comparison, title: str) -> str:
    """The whole HTML of a comparison; `title` says where the runs lie. Pictures that cannot be read are left out."""
    runs, rows = _runs(comparison), len(comparison.rows)
    count = len(runs)
    heading = f"{count} run{'s' * (count != 1)} side by side"
    groups = f", {rows} configurations; mean ± standard deviation over seeds" if comparison.repeated else ""
    groups += f"; {escape(comparison.caution)}" if comparison.caution else ""
    parts = [
        f'<header><h1>{heading}</h1><p class="soft">{escape(title)}{groups}</p></header>',
        _best(comparison),
        f'<h2>Results</h2><div class="card scroll">{_results(comparison, runs)}</div>',
        _fold("Every run", _every_run(comparison, runs)) if comparison.repeated else "",
        _differences(comparison, runs),
        _curves(comparison, runs),
        _pictures(runs),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}: {escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>"
        + "\n".join(filter(None, parts))
        + f"</main><script>{_SCRIPT}</script></body></html>\n"
    )


def _best(comparison: Comparison) -> str:
    row = comparison.best(comparison.metric) if comparison.metric else None
    if row is None:
        return ""
    folder = row.best_record(comparison.metric, comparison.descending).folder
    return (
        f'<section class="card best"><div><span class="soft">Best</span><b>{escape(row.label)}</b></div>'
        f'<div><span class="soft">{escape(comparison.metric)}, {_way(comparison, comparison.metric)}</span>'
        f"<b>{row.estimate(comparison.metric)}</b></div>"
        f'<div><span class="soft">Its best run</span><br><code>{escape(str(folder))}</code></div></section>'
    )


def _way(comparison: Comparison, metric: str) -> str:
    return {"max": "higher is better", "min": "lower is better"}.get(comparison.directions.get(metric), "")


def _results(comparison: Comparison, runs: list[_Run]) -> str:
    """A line for each row; the best cell of each metric that ranks is marked."""
    best = {metric: comparison.best(metric) for metric in comparison.metrics}
    keys = comparison.keys[:_KEYS]  # the others stand among the differences
    heads = ["run", *(["seeds"] if comparison.repeated else []), *map(short_key, keys), *comparison.metrics]
    heads += ["steps", "steps/second", "status"]
    numeric = {*comparison.metrics, "steps", "steps/second", "seeds"}
    sorted_way = "descending" if comparison.descending else "ascending"
    top = "".join(
        f'<th scope="col"{_if(name in numeric, " class=number")}'
        f"{_if(name == comparison.metric, f' aria-sort={sorted_way}')}>{_heading(name)}</th>"
        for name in heads
    )
    lines = []
    for number, row in enumerate(comparison.rows):
        cells = [f'<th scope="row" data-value="{number}">{_dots(runs, row)}{escape(row.name)}</th>']
        cells += [_cell(len(row.records))] if comparison.repeated else []
        cells += [_cell(row.settings.get(key)) for key in keys]
        cells += [_metric_cell(row, metric, best[metric] is row) for metric in comparison.metrics]
        cells += [_cell(row.steps, "number"), _cell(row.speed and round(row.speed, 1), "number"), _cell(row.status)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="sortable"><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _every_run(comparison: Comparison, runs: list[_Run]) -> str:
    keys = ["seed", *comparison.keys[:_KEYS]]
    heads = ["run", *map(short_key, keys), *comparison.metrics, "steps", "status"]
    top = "".join(
        f'<th scope="col"{_if(n > len(keys), " class=number")}>{_heading(h)}</th>' for n, h in enumerate(heads)
    )
    lines = []
    for run in runs:
        cells = [f'<th scope="row" data-value="{run.number}">{run.dot}{escape(run.record.name)}</th>']
        cells += [_cell(run.record.settings.get(key)) for key in keys]
        cells += [_metric_cell(Row([run.record]), metric, False) for metric in comparison.metrics]
        cells += [_cell(run.record.step), _cell(run.record.status)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    table = f'<table class="sortable"><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="card scroll">{table}</div>'


def _differences(comparison: Comparison, runs: list[_Run]) -> str:
    """Settings that are not the same in all rows; where they are many, those that come with the model folded away."""
    if len(comparison.rows) == 1:
        return ""
    many = len(comparison.differing) > _DIFFERENCES
    shown = comparison.keys if many else comparison.differing
    folded = [key for key in comparison.differing if key not in shown]
    table = _settings(comparison, runs, shown) if shown else '<p class="soft">None but the seed.</p>'
    rest = _fold("Brought along by model and dataset", _settings(comparison, runs, folded)) if folded else ""
    return f"<h2>Differences of the settings</h2>{table}{rest}"


def _settings(comparison: Comparison, runs: list[_Run], keys: list[str]) -> str:
    heads = "".join(f'<th scope="col">{_dots(runs, row)}{escape(row.label)}</th>' for row in comparison.rows)
    lines = "".join(
        f'<tr><th scope="row"><code>{escape(short_key(key))}</code></th>'
        f"{''.join(_cell(row.settings.get(key), '') for row in comparison.rows)}</tr>"
        for key in keys
    )
    table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="card scroll">{table}</div>'


def _curves(comparison: Comparison, runs: list[_Run]) -> str:
    """A chart for each scalar of training and validation: that of the sorting metric first, then losses."""
    names = dict.fromkeys(name for record in comparison.records for name in record.curves)
    if not names:
        return ""
    ordered = sorted(names, key=lambda name: (name != comparison.metric, name != "train/loss"))
    charts = "".join(_chart(comparison, runs, name) for name in ordered)
    return f'<h2>Curves</h2>{_legend(comparison, runs)}<div class="grid">{charts}</div>'


def _legend(comparison: Comparison, runs: list[_Run]) -> str:
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


def _chart(comparison: Comparison, runs: list[_Run], name: str) -> str:
    shown = [[point for point in run.record.curves.get(name, []) if abs(point[1]) < _DIVERGED] for run in runs]
    lines = {number: _thinned(points) for number, points in enumerate(shown) if points}
    if not lines:
        return ""
    steps = [step for points in lines.values() for step, _ in points]
    values = [value for points in lines.values() for _, value in points]
    # A loss that falls by orders of magnitude is a line along the floor on a plain axis.
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
    note = ", ".join(filter(None, [_way(comparison, name), _if(logarithmic, "logarithmic")]))
    picture = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(name)}">{"".join(drawn)}</svg>'
    return f'<figure class="card chart"><figcaption>{escape(name)} <small>{note}</small></figcaption>{picture}</figure>'


def _thinned(points: list) -> list:
    """Every k-th point and the last, `_POINTS` at most and one."""
    every = math.ceil(len(points) / _POINTS)
    return points[::every] + (points[-1:] if (len(points) - 1) % every else [])


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between two others."""
    raw = (high - low) / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= raw * 0.75)
    return [round(step * k, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers 10^k, and 2 and 5 times that where these are few, between 10^low and 10^high."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    every = [f * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for f in factors]
    return [tick for tick in every if low <= math.log10(tick) <= high]


def _pictures(runs: list[_Run]) -> str:
    """The last previews, a run a picture: the first kind in view, the others folded away."""
    kinds = {kind for run in runs for kind in run.record.previews}
    sections = []
    for kind in sorted(kinds, key=lambda kind: (kind != "samples", kind)):
        figures = "".join(
            f'<figure class="card"><img alt="{escape(kind)} of {escape(run.record.name)}" src="{picture}">'
            f"<figcaption>{run.dot}{escape(run.caption)}</figcaption></figure>"
            for run in runs
            if kind in run.record.previews and (picture := _picture(run.record.previews[kind]))
        )
        grid = f'<div class="grid pictures">{figures}</div>' if figures else ""
        sections.append(grid if not sections else _fold(kind.capitalize(), grid))
    return f"<h2>Last previews</h2>{''.join(sections)}" if any(sections) else ""


def _picture(path: Path) -> str | None:
    """A PNG as a data address, scaled down; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((_PICTURE, _PICTURE))
    stored = io.BytesIO()
    small.save(stored, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(stored.getvalue()).decode()}"


def _fold(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if content else ""


def _heading(name: str) -> str:
    """A dotted key or a metric, its last part below the others."""
    above, mark, last = name.rpartition("/" if "/" in name else ".")
    return f"{_if(above, f'<small>{escape(above + mark)}</small><br>')}{escape(last)}"


def _cell(value: Any, style: str | None = None) -> str:
    """A cell of a table; numbers stand to the right unless a style is given."""
    if style is None:
        style = _if(isinstance(value, (int, float)) and not isinstance(value, bool), "number")
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f'<td class="{style}">{escape(text)}</td>'


def _metric_cell(row: Row, metric: str, top: bool) -> str:
    estimate = row.estimate(metric)
    if estimate is None:
        return '<td class="number soft">–</td>'
    mean, _, spread = str(estimate).partition(" ± ")
    few = f" of {estimate.count}" if estimate.count < len(row.records) else ""
    small = f" <small>± {spread}{few}</small>" if spread else f"<small>{few}</small>" if few else ""
    return f'<td class="number{_if(top, " top")}" data-value="{estimate.mean}">{mean}{small}</td>'


def _if(condition: Any, text: str) -> str:
    return text if condition else ""


def _dots(runs: list[_Run], row: Row) -> str:
    return f'<span class="dots">{"".join(run.dot for run in runs if run.row is row)}</span>'
