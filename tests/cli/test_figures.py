"""The table of an evaluation: each figure once, under its topic and extractor."""

import pytest

from genlab.commands.figures import table
from genlab.metrics.catalogue import METRICS


def entry(value=0.5, direction="max", std=None, over=None, note=None, **protocol):
    return {"value": value, "direction": direction, "std": std, "std_over": over, "note": note, "protocol": protocol}


def test_figures_stand_by_topic_with_unit_direction_and_extractor():
    entries = {
        "precision": entry(extractor="classifier"),
        "recall": entry(None, note="came out as nan", extractor="classifier"),
        "frechet_distance": entry(2.7612345, "min", 0.25, "repeats", extractor="classifier"),
        "elbo": entry(-98.5123, "max", 34.2, "images"),
        "active_units": entry(18, None),
    }
    head, *lines = table(entries)
    assert head.split() == ["value", "unit", "better", "standard", "deviation"]
    assert [line for line in lines if not line.startswith(" ")] == [
        "likelihood", "latents", "sample quality, by classifier", "diversity, by classifier",
    ]  # fmt: skip
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(" ")}
    assert rows["elbo"] == ["-98.512", "nats", "higher", "34.2", "over", "images"]
    assert rows["frechet_distance"] == ["2.7612", "lower", "0.25", "over", "repeats"]
    assert rows["active_units"] == ["18", "-"] and rows["recall"][:2] == ["not", "measured:"]
    assert lines.index("diversity, by classifier") < lines.index(next(line for line in lines if "recall" in line))


@pytest.mark.parametrize("metric", METRICS)
def test_every_figure_has_one_row_that_fits(metric):
    names = METRICS[metric].directions
    _, *rows = table({name: entry(-12345.6789, std=0.0012345, over="repeats") for name in names})
    assert sorted(row.split()[0] for row in rows if row.startswith(" ")) == sorted(names)
    assert max(map(len, rows)) <= 80
