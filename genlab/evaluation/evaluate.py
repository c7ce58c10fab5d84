"""Evaluate a run: choose the metrics that apply, measure them, and store every value with its protocol."""

import math
import os
import statistics
from collections.abc import Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.contract.data import Condition
from genlab.contract.model import CAPABILITIES
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.data_metrics import DATA_METRICS, fields_of
from genlab.evaluation.features import Reading
from genlab.evaluation.sample_metrics import SAMPLE_METRICS, SampleBatch
from genlab.inference.run import Run
from genlab.media.kinds import KINDS, shown_kind
from genlab.metrics.catalogue import FUNCTIONS, METRICS, Direction, known, unknown
from genlab.system.device import computing
from genlab.system.distributed import from_first, gather_in_order, rank
from genlab.system.files import json_text, replace_text
from genlab.system.seeding import mix
from genlab.system.small_files import read_json


def choose(run: Run, context: EvaluationContext, asked: Sequence[str] | None) -> list[str]:
    """Names of the metrics to measure: the ones `asked` for, or by default all that apply.

    `ValueError` if one is unknown, or needs something that the model, the data or the extractor lacks.
    """
    run.conditioning.check_sampling(context.settings.sampling)
    if asked is None:
        return [name for name in known() if _obstacle(name, run, context) is None]
    problems = list(unknown(asked)) or [
        f"metrics={name}: {reason}" for name in asked if (reason := _obstacle(name, run, context))
    ]
    if not asked:
        problems = [f"metrics=[]: name at least one; there are {', '.join(METRICS)}"]
    if problems:
        raise ValueError("\n".join(problems))
    return list(dict.fromkeys(asked))


def _obstacle(name: str, run: Run, context: EvaluationContext) -> str | None:
    """Why a metric cannot be measured, None if it can."""
    metric = METRICS[name]
    if missing := [need for need in metric.needs if not run.can(need)]:
        return f"model {run.config.choices.model} cannot {', '.join(CAPABILITIES[need] for need in missing)}"
    if metric.fields and (absent := set(metric.fields) - fields_of(context)):
        return f"dataset {context.title} has no {', '.join(absent)}"
    if metric.group == "data" and run.model.conditions and not context.own:
        told = ", ".join(run.model.conditions)
        return f"model {run.config.choices.model} is conditioned on {told}, which the run's own data alone tell"
    if metric.group == "samples" and (undrawn := [c for c in run.model.conditions if not run.data[c].size]):
        return f"model {run.config.choices.model} samples under {', '.join(undrawn)}, of which only you can give values"
    shown = shown_kind(run.data)
    if metric.classes and "classifier" not in shown.extractors:
        return f"reads classes, and this run models {shown.plural}, which no classifier reads"
    if metric.kinds and run.data[run.data.domains[0]].kind not in metric.kinds:
        return f"is of {' or '.join(KINDS[kind].plural for kind in metric.kinds)}, and this run models {shown.plural}"
    if metric.modes and not context.source.modes:
        return f"the modes of dataset {context.title} are not known"
    if metric.classes and not context.extractor.num_classes:
        return f"extractor {context.extractor.name} reads no classes; use extractor=classifier on data with labels"
    if (found := context.settings.num_samples) < metric.least_samples:
        return f"needs num_samples={metric.least_samples} or more, not {found}"
    if (found := context.source.sizes[context.split]) < metric.least_real:
        return f"needs {metric.least_real} real images or more, and {context.split} of {context.title} has {found}"
    if metric.own_data and not context.own:
        return "is a question about the data that the run was trained on; leave dataset out"
    return None


def evaluate(run: Run, context: EvaluationContext, names: Sequence[str], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Entries by metric name: value, std, values of all repeats, direction, and the protocol.

    Every repeat has its own seed. Metrics that do not depend on the seed are measured once.
    """
    common = {
        "step": run.step,
        "weights": run.weights,
        "dataset": context.title,
        "split": context.split,
        "data_sha256": context.fingerprint,
        "precision": "float32" if run.precision == "fp32" else run.precision,
        "torch": torch.__version__,
    }
    seeds = [mix(seed, number) for number in range(context.settings.repeats)]
    measured: dict[str, list[dict[str, MetricValue]]] = {}
    for name in (name for name in names if METRICS[name].group != "samples"):
        asked, measure = seeds if METRICS[name].draws else seeds[:1], (FUNCTIONS | DATA_METRICS)[name]
        with run.inference():
            measured[name] = [from_first(measure(run, context, own)) for own in asked]
    if sampled := [name for name in names if METRICS[name].group == "samples"]:
        with computing(run.device, "fp32"):
            passes = [_measure_samples(run, context, sampled, own) for own in seeds]
        measured |= {name: [found[place] for found in passes] for place, name in enumerate(sampled)}
    entries: dict[str, dict[str, Any]] = {}
    for name, repeats in measured.items():
        protocol, directions = common | _protocol(name, run, context, seed), METRICS[name].directions
        for key in repeats[0]:
            entries[key] = _entry([values[key] for values in repeats], directions.get(key), protocol)
    return entries


def _protocol(name: str, run: Run, context: EvaluationContext, seed: int) -> dict[str, Any]:
    """What the values of a metric depend on besides `common`."""
    found: dict[str, Any] = {}
    if METRICS[name].draws:
        found |= {"seed": seed, "repeats": context.settings.repeats}
    if METRICS[name].group == "samples":
        found["num_samples"] = context.settings.num_samples
        found["sampling"] = dict(context.settings.sampling)
    if run.model.conditions:
        given = "in turn" if METRICS[name].group == "samples" else "the data's own"
        found["condition"] = dict.fromkeys(run.model.conditions, given)
    if METRICS[name].extractor:
        extractor = context.extractor
        found |= {"extractor": extractor.name, "extractor_sha256": extractor.identity}
        found["extractor_description"] = extractor.description
    return found


def _measure_samples(
    run: Run, context: EvaluationContext, names: Sequence[str], seed: int
) -> list[dict[str, MetricValue]]:
    """Values of all sample metrics, computed in one pass. The processes of a run share its batches."""
    count = context.settings.num_samples
    metrics = [(FUNCTIONS | SAMPLE_METRICS)[name](context, count, seed) for name in names]
    reads = any(METRICS[name].extractor for name in names)
    hidden = None if context.progress else True

    def read(images: Tensor, given: Condition) -> SampleBatch:
        found = context.extractor.read(images.to(run.device)).cpu() if reads else Reading(images[:0], images[:0])
        return SampleBatch(images, given.get("label") if context.own else None, found)

    own = starmap(read, run.draw(count, seed, shared=True, **context.settings.sampling))
    with tqdm(total=count, desc="measuring samples", disable=hidden, leave=False) as bar:
        for batch in gather_in_order(own):
            for metric in metrics:
                metric.update(batch)
            bar.update(len(batch.images))
    return from_first([metric.result() for metric in metrics] if rank() == 0 else [])


def _entry(repeats: list[MetricValue], direction: Direction, protocol: dict[str, Any]) -> dict[str, Any]:
    values = [repeat.value for repeat in repeats]
    first, mean = repeats[0], math.fsum(values) / len(values)
    std, over = first.std, first.std_over if first.std is not None else None
    details = dict(first.details)
    if len(values) > 1:
        std, over = statistics.stdev(values), "repeats"
        details["details_of"] = "the first repeat"
    entry = {
        "value": mean,
        "std": std,
        "std_over": over,
        "values": values,
        "direction": direction,
        "protocol": {**protocol, **details},
    }
    if not math.isfinite(mean):  # JSON has neither NaN nor infinity
        entry |= {"value": None, "std": None, "values": [], "note": f"came out as {mean}"}
    return entry


def write(entries: dict[str, dict], path: Path) -> None:
    """Add `entries` to an evaluation.json atomically. Its other metrics are kept, each with its protocol."""
    replace_text(path, json_text({"metrics": {**measured_before(path), **entries}}, indent=2))


def measured_before(path: Path) -> dict[str, dict]:
    """The entries of an evaluation.json, if there is one. `ValueError` if no others can be added to it."""
    try:
        return dict(read_json(path)["metrics"]) if os.path.lexists(path) else {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not an evaluation that can be added to; remove it") from error
