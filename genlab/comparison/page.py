"""A comparison of runs as one self-contained HTML file: no network, no other files, images embedded.

All text of the runs is escaped, and the page's content security policy keeps it from loading anything.
"""

import base64
import io
import warnings
from html import escape
from pathlib import Path
from typing import Any

from genlab.comparison.charts import RunOnPage, better, curves, runs_on_page, when
from genlab.comparison.comparison import Comparison, short_key
from genlab.comparison.rows import Row

_IMAGE = 360
_PIXELS = 2**25
_KEYS, _DIFFERENCES = 4, 12


def page(comparison: Comparison, title: str) -> str:
    """The HTML of a comparison; `title` says where the runs are. Unreadable images are left out."""
    runs, rows = runs_on_page(comparison), len(comparison.rows)
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
        curves(comparison, runs),
        _images(runs),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}: {escape(title)}</title><style>{_asset('page.css')}</style></head>\n<body><main>"
        + "\n".join(filter(None, parts))
        + f"</main><script>{_asset('page.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def _best(comparison: Comparison) -> str:
    metric = comparison.metric
    row = comparison.best(metric) if metric else None
    if metric is None or row is None:
        return ""
    folder = row.best_record(metric, comparison.descending).folder
    return (
        f'<section class="card best"><div><span class="soft">Best</span><b>{escape(row.label)}</b></div>'
        f'<div><span class="soft">{escape(metric)}, {better(comparison, metric)}</span>'
        f"<b>{row.estimate(metric)}</b></div>"
        f'<div><span class="soft">Its best run</span><br><code>{escape(str(folder))}</code></div></section>'
    )


def _results(comparison: Comparison, runs: list[RunOnPage]) -> str:
    """One line per row, with the best value of each ranking metric highlighted."""
    best = {metric: comparison.best(metric) for metric in comparison.metrics}
    keys = comparison.keys[:_KEYS]  # the others are listed under the differences
    heads = ["run", *(["seeds"] if comparison.repeated else []), *map(short_key, keys), *comparison.metrics]
    heads += ["steps", "steps/second", "status"]
    numeric = {*comparison.metrics, "steps", "steps/second", "seeds"}
    order = "descending" if comparison.descending else "ascending"
    top = "".join(
        f'<th scope="col"{when(name in numeric, " class=number")}'
        f"{when(name == comparison.metric, f' aria-sort={order}')}>{_heading(name)}</th>"
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


def _every_run(comparison: Comparison, runs: list[RunOnPage]) -> str:
    keys = ["seed", *comparison.keys[:_KEYS]]
    heads = ["run", *map(short_key, keys), *comparison.metrics, "steps", "status"]
    top = "".join(
        f'<th scope="col"{when(n > len(keys), " class=number")}>{_heading(h)}</th>' for n, h in enumerate(heads)
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


def _differences(comparison: Comparison, runs: list[RunOnPage]) -> str:
    """Settings that differ between rows. If there are many, those determined by the model are folded away."""
    if len(comparison.rows) == 1:
        return ""
    many = len(comparison.differing) > _DIFFERENCES
    shown = comparison.keys if many else comparison.differing
    folded = [key for key in comparison.differing if key not in shown]
    table = _settings(comparison, runs, shown) if shown else '<p class="soft">None except the seed.</p>'
    rest = _fold("Determined by model and dataset", _settings(comparison, runs, folded)) if folded else ""
    return f"<h2>Differing settings</h2>{table}{rest}"


def _settings(comparison: Comparison, runs: list[RunOnPage], keys: list[str]) -> str:
    heads = "".join(f'<th scope="col">{_dots(runs, row)}{escape(row.label)}</th>' for row in comparison.rows)
    lines = "".join(
        f'<tr><th scope="row"><code>{escape(short_key(key))}</code></th>'
        f"{''.join(_cell(row.settings.get(key), '') for row in comparison.rows)}</tr>"
        for key in keys
    )
    table = f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="card scroll">{table}</div>'


def _images(runs: list[RunOnPage]) -> str:
    """The last previews, one image per run: the first kind is visible, the others are folded away."""
    kinds = {kind for run in runs for kind in run.record.previews}
    sections: list[str] = []
    for kind in sorted(kinds, key=lambda kind: (kind != "samples", kind)):
        figures = "".join(
            f'<figure class="card"><img alt="{escape(kind)} of {escape(run.record.name)}" src="{image}">'
            f"<figcaption>{run.dot}{escape(run.caption)}</figcaption></figure>"
            for run in runs
            if kind in run.record.previews and (image := _image(run.record.previews[kind]))
        )
        grid = f'<div class="grid images">{figures}</div>' if figures else ""
        sections.append(grid if not sections else _fold(kind.capitalize(), grid))
    return f"<h2>Last previews</h2>{''.join(sections)}" if any(sections) else ""


def _image(path: Path) -> str | None:
    """A PNG as a data URL, scaled down; None if it is unreadable, too large or not a regular file."""
    from PIL import Image

    stored = io.BytesIO()
    try:
        if not path.is_file():
            return None
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > _PIXELS:  # a few kilobytes can decode to gigabytes
                return None
            small = image.convert("RGB")
        small.thumbnail((_IMAGE, _IMAGE))
        small.save(stored, "WEBP", quality=85)
    except Exception:  # decoders raise anything on damaged files: OSError, SyntaxError, IndexError
        return None
    return f"data:image/webp;base64,{base64.b64encode(stored.getvalue()).decode()}"


def _fold(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if content else ""


def _heading(name: str) -> str:
    """A dotted key or a metric, its last part on a line below the others."""
    above, mark, last = name.rpartition("/" if "/" in name else ".")
    return f"{when(above, f'<small>{escape(above + mark)}</small><br>')}{escape(last)}"


def _cell(value: Any, style: str | None = None) -> str:
    """A table cell; numbers are right-aligned unless a style is given."""
    if style is None:
        style = when(isinstance(value, (int, float)) and not isinstance(value, bool), "number")
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f'<td class="{style}">{escape(text)}</td>'


def _metric_cell(row: Row, metric: str, top: bool) -> str:
    estimate = row.estimate(metric)
    if estimate is None:
        return '<td class="number soft">–</td>'
    mean, _, std = str(estimate).partition(" ± ")
    few = f" of {estimate.count}" if estimate.count < len(row.records) else ""
    small = f" <small>± {std}{few}</small>" if std else f"<small>{few}</small>" if few else ""
    return f'<td class="number{when(top, " top")}" data-value="{estimate.mean}">{mean}{small}</td>'


def _dots(runs: list[RunOnPage], row: Row) -> str:
    return f'<span class="dots">{"".join(run.dot for run in runs if run.row is row)}</span>'
