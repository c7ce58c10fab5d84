"""How good a run is: choose what fits it, measure it as often as asked, and write every number with its protocol."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from genlab.config.compose import did_you_mean
from genlab.evaluation.bench import Bench, Figure
from genlab.evaluation.data_metrics import DATA_METRICS, fields_of
from genlab.evaluation.sample_metrics import SAMPLE_METRICS, Drawn
from genlab.models.base import CAPABILITIES
from genlab.sampling.load import Run
from genlab.seeding import mix

METRICS = (*DATA_METRICS, *SAMPLE_METRICS)
"""Names by which metrics are asked for."""


def choose(run: Run, bench: Bench, asked: Sequence[str] | None) -> list[str]:
    """Names of the metrics to measure: all that fit, or those `asked` for.

    `ValueError` where one is unknown, or asks for what the model, the data or the extractor does not have.
    """
    if asked is None:
        return [name for name in METRICS if _obstacle(name, run, bench) is None]
    problems = list(unknown(asked)) or [
        f"metrics={name}: {reason}" for name in asked if (reason := _obstacle(name, run, bench))
    ]
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
    return None


def evaluate(run: Run, bench: Bench, names: Sequence[str], seed: int = 0, progress: bool = True) -> dict[str, dict]:
    """Entries by metric's name: value, spread, values of all repeats, which way is better, and the protocol.

    Every repeat draws by a seed of its own. What no chance touches comes out alike each time.
    """
    seeds = [mix(seed, number) for number in range(bench.settings.repeats)]
    figures: list[dict[str, Figure]] = []
    for own_seed in seeds:
        found = {}
        for name in (name for name in names if name in DATA_METRICS):
            with torch.no_grad():
                found |= DATA_METRICS[name].measure(run, bench, own_seed)
        found |= _measure_samples(run, bench, [name for name in names if name in SAMPLE_METRICS], own_seed, progress)
        figures.append(found)
    common = _protocol(run, bench, seed)
    return {name: _entry([found[name] for found in figures], common) for name in figures[0]}


def _measure_samples(run: Run, bench: Bench, names: Sequence[str], seed: int, progress: bool) -> dict[str, Figure]:
    """All metrics of samples in one pass."""
    if not names:
        return {}
    count = bench.settings.num_samples
    metrics = [SAMPLE_METRICS[name](bench, count, seed) for name in names]
    reads = any(metric.reads for metric in metrics)
    with tqdm(total=count, desc="measuring samples", disable=None if progress else True, leave=False) as bar:
        for pictures, labels in run.draw(count, seed):
            reading = bench.extractor.read(pictures.to(run.device)) if reads else None
            for metric in metrics:
                metric.update(Drawn(pictures, labels, reading))
            bar.update(len(pictures))
    return {name: figure for metric in metrics for name, figure in metric.result().items()}


def _protocol(run: Run, bench: Bench, seed: int) -> dict:
    """What every number of one evaluation depends on."""
    extractor = bench.extractor
    return {
        "step": run.step,
        "weights": run.weights,
        "dataset": bench.title,
        "split": bench.split,
        "data_sha256": bench.fingerprint,
        "num_samples": bench.settings.num_samples,
        "extractor": extractor.name,
        "extractor_sha256": extractor.identity,
        "extractor_description": extractor.description,
        "labels": "all classes in turn" if run.takes_labels else None,
        "seed": seed,
        "repeats": bench.settings.repeats,
        "torch": torch.__version__,
    }


def _entry(repeats: list[Figure], common: dict) -> dict:
    values = [figure.value for figure in repeats]
    first, mean = repeats[0], math.fsum(values) / len(values)
    spread, over = first.spread, first.spread_over
    if len(values) > 1:
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
        over = "repeats"
    return {
        "value": mean,
        "spread": spread,
        "spread_over": over,
        "values": values,
        "best": first.best,
        "protocol": {**common, **first.details},
    }


def write(entries: dict[str, dict], path: Path) -> None:
    """Put `entries` into an evaluation.json at once; what it held of other metrics stays, each with its protocol."""
    try:
        known = json.loads(path.read_text())["metrics"] if path.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not an evaluation that can be added to; remove it") from error
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"metrics": {**known, **entries}}, indent=2))
    os.replace(temporary, path)
