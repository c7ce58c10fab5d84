"""The table of an evaluation: each figure once, under its topic and extractor."""

from genlab.commands.figures import table
from genlab.metrics.catalogue import directions_of


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


def test_every_figure_has_one_row_that_fits():
    entries = {name: entry(-123456.789, std=1234.5, over="repeats") for name in directions_of()}
    rows = [line for line in list(table(entries))[1:] if line.startswith(" ")]
    assert len(rows) == len(entries) and max(map(len, rows)) <= 90
