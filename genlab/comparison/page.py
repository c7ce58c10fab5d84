"""A comparison of runs as one self-contained HTML file: no network, no other files, images embedded.

The template `page.html` escapes all text, and its content security policy keeps the page from loading anything.
"""

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from genlab.comparison.charts import Chart, chart
from genlab.comparison.comparison import Comparison
from genlab.comparison.records import Record
from genlab.comparison.rows import Row

_IMAGE = 360
_PIXELS = 2**25
_KEYS, _DIFFERENCES = 4, 12


@dataclass
class RunOnPage:
    """A run on the page: its row, a row of this run alone, its index from the top, its colour, and its seed.

    seed: empty if the row has no other run.
    """

    record: Record
    row: Row
    alone: Row
    number: int
    colour: str
    seed: str

    @property
    def caption(self) -> str:
        return ", ".join(filter(None, [self.row.label, self.seed]))


def page(comparison: Comparison, title: str) -> str:
    """The HTML of a comparison; `title` says where the runs are. Unreadable images are left out."""
    files = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=files, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    runs = _runs(comparison)
    many = len(comparison.differing) > _DIFFERENCES
    shown = comparison.keys if many else comparison.differing
    words = {"max": "higher is better", "min": "lower is better"}
    return environment.get_template("page.html").render(
        title=title,
        comparison=comparison,
        runs=runs,
        best={metric: comparison.best(metric) for metric in comparison.metrics},
        better={metric: words[direction] for metric, direction in comparison.directions.items()},
        keys=comparison.keys[:_KEYS],  # the others are listed under the differences
        shown=shown,
        folded=[key for key in comparison.differing if key not in shown],
        charts=_charts(comparison, runs),
        previews=_previews(runs),
    )


def _runs(comparison: Comparison) -> list[RunOnPage]:
    """All runs in the order of the table: one hue per row, one lightness per run in it."""
    runs: list[RunOnPage] = []
    rows = len(comparison.rows)
    for place, row in enumerate(comparison.rows):
        hue = 255 + (360 * place / rows if rows <= 12 else 137.5 * place)
        repeats = len(row.records) - 1
        for index, record in enumerate(row.records):
            shade = 0.16 * (index / max(1, repeats) - 0.5)
            colour = f"--run: oklch(calc(var(--light) + {shade:.3f}) 0.13 {hue % 360:.0f})"
            seed = f"seed {record.settings.get('seed')}" if repeats else ""
            runs.append(RunOnPage(record, row, Row([record]), len(runs), colour, seed))
    return runs


def _charts(comparison: Comparison, runs: list[RunOnPage]) -> list[Chart]:
    """One chart per logged scalar: the sorting metric first, then the training loss."""
    names = dict.fromkeys(name for run in runs for name in run.record.curves)
    ordered = sorted(names, key=lambda name: (name != comparison.metric, name != "train/loss"))
    charts = (chart(name, {run.number: run.record.curves.get(name, []) for run in runs}) for name in ordered)
    return [drawn for drawn in charts if drawn]


def _previews(runs: list[RunOnPage]) -> dict[str, list[tuple[RunOnPage, str]]]:
    """The last previews by kind, samples first: runs that have one, and the image as a data URL."""
    kinds = {kind for run in runs for kind in run.record.previews}
    images = {
        kind: [(run, url) for run in runs if (url := _image(run.record.previews.get(kind)))]
        for kind in sorted(kinds, key=lambda kind: (kind != "samples", kind))
    }
    return {kind: found for kind, found in images.items() if found}


def _image(path: Path | None) -> str | None:
    """A PNG as a data URL, scaled down; None if it is unreadable, too large or not a regular file."""
    stored = io.BytesIO()
    try:
        if path is None or not path.is_file():
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
