"""The catalogue of metrics: all that it names is implemented and documented, and asking it costs no import."""

import re
from collections import Counter
from pathlib import Path

from genlab.evaluation.data_metrics import DATA_METRICS
from genlab.evaluation.sample_metrics import SAMPLE_METRICS
from genlab.metrics.catalogue import METRICS, directions_of, unknown

DOCUMENTATION = Path(__file__).parents[2] / "docs/evaluation.md"


def test_every_metric_is_implemented_and_nothing_else():
    assert not DATA_METRICS.keys() & SAMPLE_METRICS.keys()
    assert METRICS.keys() == DATA_METRICS.keys() | SAMPLE_METRICS.keys()
    assert {name for name, metric in METRICS.items() if metric.group == "samples"} == SAMPLE_METRICS.keys()


def documented() -> dict[str, set[str]]:
    """By metric, the names of numbers in the documentation's table."""
    rows = re.findall(r"^\| `(\w+)` \| ((?:`[\w/]+`(?:, )?)+) \| .+ \|$", DOCUMENTATION.read_text(), re.MULTILINE)
    return {metric: set(re.findall(r"`([\w/]+)`", names)) for metric, names in rows}


def test_the_documentation_names_every_number_and_no_other():
    assert documented() == {name: metric.directions.keys() for name, metric in METRICS.items()}


def test_units_and_topics_are_of_values_that_there_are():
    for metric in METRICS.values():
        assert {*metric.units, *metric.of_diversity} <= metric.directions.keys()


def test_a_number_of_one_name_means_one_thing():
    """Only bits per dimension, exact or by a bound, come from two metrics: models of both kinds can be compared."""
    names = Counter(name for metric in METRICS.values() for name in metric.directions)
    assert {name for name, count in names.items() if count > 1} == {"bits_per_dim"}
    for metric in METRICS.values():
        assert metric.directions.items() <= directions_of().items()
    assert directions_of(["likelihood"]) == METRICS["likelihood"].directions
    assert directions_of([]) == {}


def test_what_is_not_there_is_told_with_what_was_meant():
    assert list(unknown(METRICS)) == []
    (line,) = unknown(["frechett", "kernel"])
    assert line == "metrics=frechett: no such metric; did you mean 'frechet'?"
