"""How good a run is: choose what fits it, measure it as often as asked, and write every number with its protocol."""

import json
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from itertools import starmap
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.config.compose import did_you_mean
from genlab.evaluation.bench import Bench, Best, Figure
from genlab.evaluation.data_metrics import DATA_METRICS, fields_of
from genlab.evaluation.features import Reading
from genlab.evaluation.sample_metrics import SAMPLE_METRICS, Copies, Drawn, SampleMetric
from genlab.models.base import CAPABILITIES
from genlab.sampling.load import Run
from genlab.seeding import mix
from genlab.training.device import computing
from genlab.training.distributed import from_first, merge, rank

METRICS = (*DATA_METRICS, *SAMPLE_METRICS)
"""Names by which metrics are asked for."""

FIGURES: dict[str, Best] = {
    name: best for metric in (*DATA_METRICS.values(), *SAMPLE_METRICS.values()) for name, best in metric.figures.items()
}
"""Names of all numbers that may come of them, and which way is better."""


def figures_of(asked: Sequence[str] | None) -> dict[str, Best]:
    """What the metrics `asked` for may give, as `FIGURES` has it; None: any metric."""
    if asked is None:
        return FIGURES
    return {name: best for metric in asked for name, best in {**DATA_METRICS, **SAMPLE_METRICS}[metric].figures.items()}


def choose(run: Run, bench: Bench, asked: Sequence[str] | None) -> list[str]:
    """Names of the metrics to measure: all that fit, or those `asked` for.

    `ValueError` where one is unknown, or asks for what the model, the data or the extractor does not have.
    """
    if asked is None:
        return [name for name in METRICS if _obstacle(name, run, bench) is None]
    problems = list(unknown(asked)) or [
        f"metrics={name}: {reason}" for name in asked if (reason := _obstacle(name, run, bench))
    ]
    if not asked:
        problems = [f"metrics=[]: name at least one; there are {', '.join(METRICS)}"]
    if problems:
        raise ValueError("\n".join(problems))
    return list(dict.fromkeys(asked))


def unknown(asked: Sequence[str]) -> Iterator[str]:
    """A line for each of the names `asked` for that is no metric's."""
    for name in asked:
        if name not in METRICS:
            yield f"metrics={name}: no such metric; {did_you_mean(name, METRICS)}"


def _obstacle(name: str, run: Run, bench: Bench) -> str | None:
    """Why a metric cannot be measured, None where it can."""
    model = run.config.choices.model
    if name in DATA_METRICS:
        metric = DATA_METRICS[name]
        if missing := [need for need in metric.needs if not run.can(need)]:
            return f"model {model} cannot {', '.join(CAPABILITIES[need] for need in missing)}"
        if missing := set(metric.fields) - fields_of(bench):
            return f"dataset {bench.title} has no {', '.join(missing)}"
        return None
    metric = SAMPLE_METRICS[name]
    if not run.can("sample"):
        return f"model {model} cannot sample"
    if metric.reads_classes and not bench.extractor.num_classes:
        return f"extractor {bench.extractor.name} reads no classes; use extractor=digits on data with labels"
    if (found := bench.settings.num_samples) < metric.least_samples:
        return f"needs num_samples={metric.least_samples} or more, not {found}"
    if (found := bench.source.sizes[bench.split]) < metric.least_real:
        return f"needs {metric.least_real} real pictures or more, and {bench.split} of {bench.title} has {found}"
    if metric is Copies and not bench.own:
        return "is a question to the data that the run was trained on; leave dataset out"
    return None


def evaluate(run: Run, bench: Bench, names: Sequence[str], seed: int = 0) -> dict[str, dict]:
    """Entries by figure's name: value, spread, values of all repeats, which way is better, and the protocol.

    Every repeat draws by a seed of its own; what no chance touches is measured once.
    """
    common = {
        "step": run.step,
        "weights": run.weights,
        "dataset": bench.title,
        "split": bench.split,
        "data_sha256": bench.fingerprint,
        "precision": "float32" if run.precision == "fp32" else run.precision,
        "torch": torch.__version__,
    }
    repeated = {"seed": seed, "repeats": bench.settings.repeats}
    entries = {}
    for name in (name for name in names if name in DATA_METRICS):
        metric = DATA_METRICS[name]
        repeats = []
        with run.inference():
            for number in range(bench.settings.repeats if metric.draws else 1):
                repeats.append(from_first(metric.measure(run, bench, mix(seed, number))))
        protocol = {**common, **(repeated if metric.draws else {}), **(_extractor(bench) if metric.reads else {})}
        entries |= _entries(repeats, protocol)
    metrics = [SAMPLE_METRICS[name] for name in names if name in SAMPLE_METRICS]
    if metrics:
        with computing(run.device, "fp32"):
            seeds = [mix(seed, number) for number in range(bench.settings.repeats)]
            repeats = [_measure_samples(run, bench, metrics, own) for own in seeds]
        protocol = {**common, **repeated, "num_samples": bench.settings.num_samples}
        if run.takes_labels:
            protocol["labels"] = "all classes in turn"
        for place, metric in enumerate(metrics):
            reading = _extractor(bench) if metric.reads else {}
            entries |= _entries([repeat[place] for repeat in repeats], {**protocol, **reading})
    return entries


def _measure_samples(
    run: Run, bench: Bench, chosen: Sequence[type[SampleMetric]], seed: int
) -> list[dict[str, Figure]]:
    """The figures of each metric of samples, all in one pass, whose portions the processes of a run share."""
    count = bench.settings.num_samples
    metrics = [metric(bench, count, seed) for metric in chosen]
    reads = any(metric.reads for metric in metrics)
    hidden = None if bench.progress else True

    def read(pictures: Tensor, labels: Tensor | None) -> Drawn:
        found = bench.extractor.read(pictures.to(run.device)) if reads else None
        return Drawn(pictures, labels, found and Reading(*(part if part is None else part.cpu() for part in found)))

    own = starmap(read, run.draw(count, seed, shared=True))
    with tqdm(total=count, desc="measuring samples", disable=hidden, leave=False) as bar:
        for drawn in merge(own):
            for metric in metrics:
                metric.update(drawn)
            bar.update(len(drawn.pictures))
    return from_first([metric.result() for metric in metrics] if rank() == 0 else None)


def _extractor(bench: Bench) -> dict[str, str]:
    extractor = bench.extractor
    return {
        "extractor": extractor.name,
        "extractor_sha256": extractor.identity,
        "extractor_description": extractor.description,
    }


def _entries(repeats: list[dict[str, Figure]], protocol: dict) -> dict[str, dict]:
    return {name: _entry(name, [figures[name] for figures in repeats], protocol) for name in repeats[0]}


def _entry(name: str, repeats: list[Figure], protocol: dict) -> dict:
    values = [figure.value for figure in repeats]
    first, mean = repeats[0], math.fsum(values) / len(values)
    spread, over = first.spread, first.spread_over if first.spread is not None else None
    details = dict(first.details)
    if len(values) > 1:
        spread, over = statistics.stdev(values), "repeats"
        details["details_of"] = "the first repeat"
    entry = {
        "value": mean,
        "spread": spread,
        "spread_over": over,
        "values": values,
        "best": FIGURES[name],
        "protocol": {**protocol, **details},
    }
    if not math.isfinite(mean):  # JSON has no such numbers
        entry |= {"value": None, "spread": None, "values": [], "note": f"came out as {mean}"}
    return entry


def write(entries: dict[str, dict], path: Path) -> None:
    """Put `entries` into an evaluation.json at once; what it held of other metrics stays, each with its protocol."""
    try:
        known = json.loads(path.read_text())["metrics"] if path.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not an evaluation that can be added to; remove it") from error
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"metrics": {**known, **entries}}, indent=2, allow_nan=False))
    os.replace(temporary, path)
