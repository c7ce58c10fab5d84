"""Evaluate a run: measure metrics, and store every value with its protocol."""

import logging
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.contract.data import Condition
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.data_metrics import DATA_METRICS
from genlab.evaluation.extractor import Reading
from genlab.evaluation.sample_metrics import SAMPLE_METRICS, SampleBatch
from genlab.inference.run import Run
from genlab.metrics.catalogue import FUNCTIONS, METRICS
from genlab.metrics.metric import Direction
from genlab.system.device import computing
from genlab.system.distributed import PeerLost, from_first, gather_in_order, rank
from genlab.system.files import replace_text
from genlab.system.progress import progress
from genlab.system.seeding import mix
from genlab.system.small_files import json_text, read_json

log = logging.getLogger("genlab")

_LONGEST_NOTE = 300


def evaluate(run: Run, context: EvaluationContext, names: Sequence[str], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Entries by metric name: value, std, values of all repeats, direction, and the protocol.

    Every repeat has its own seed. Metrics that do not depend on the seed are measured once. Where a metric fails, its
    value is None and a note says why; the others are measured all the same.
    """
    common = {
        "step": run.step,
        "weights": run.weights,
        **context.protocol,
        "precision": "float32" if run.precision == "fp32" else run.precision,
        "torch": torch.__version__,
    }
    seeds = [mix(seed, number) for number in range(context.settings.repeats)]
    measured: dict[str, list[dict[str, MetricValue]]] = {}
    failed: dict[str, str] = {}
    sampled = [name for name in names if METRICS[name].group == "samples"]
    others = [name for name in names if name not in sampled]
    stages = len(others) + bool(sampled)
    for number, name in enumerate(others, 1):
        context.tell(number, stages, METRICS[name].summary)
        asked, measure = seeds if METRICS[name].varies(run.model.noisy) else seeds[:1], (FUNCTIONS | DATA_METRICS)[name]
        found: list[dict[str, MetricValue]] = []
        with _noting(failed, name), run.inference():
            found = [measure(run, context, own) for own in asked]
        measured[name], failed = from_first((found, failed))
    if sampled:
        context.tell(stages, stages, f"{context.settings.num_samples} samples, for {', '.join(sampled)}")
        with computing(run.device, "fp32"):
            passes = [_measure_samples(run, context, sampled, own, failed) for own in seeds]
        measured |= {name: [found[name] for found in passes] for name in sampled if name not in failed}
    entries: dict[str, dict[str, Any]] = {}
    for name, repeats in ((name, repeats) for name, repeats in measured.items() if name not in failed):
        protocol, directions = common | _protocol(name, run, context, seed), METRICS[name].directions
        for key in repeats[0]:
            entries[key] = _entry([values[key] for values in repeats], directions.get(key), protocol)
    for name, reason in failed.items():
        protocol = common | _protocol(name, run, context, seed)
        missing: dict[str, Any] = {"value": None, "std": None, "std_over": None, "values": [], "note": reason}
        for key, direction in METRICS[name].directions.items():
            entries.setdefault(key, {**missing, "direction": direction, "protocol": protocol})
    return entries


@contextmanager
def _noting(failed: dict[str, str], *names: str) -> Iterator[None]:
    """Whatever fails in the block becomes the reason why the metrics `names` have no value, and is logged."""
    try:
        yield
    except PeerLost:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "unknown reason"
        told = reason if isinstance(error, ValueError) else f"{type(error).__name__}: {reason}"
        failed |= dict.fromkeys(names, told[:_LONGEST_NOTE])
        log.debug("%s could not be measured", ", ".join(names), exc_info=True)


def _protocol(name: str, run: Run, context: EvaluationContext, seed: int) -> dict[str, Any]:
    """What the values of a metric depend on besides `common`."""
    found: dict[str, Any] = {}
    if METRICS[name].varies(run.model.noisy):
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
        found |= context.checked.protocol()
    return found


def _measure_samples(
    run: Run, context: EvaluationContext, names: Sequence[str], seed: int, failed: dict[str, str]
) -> dict[str, dict[str, MetricValue]]:
    """Values of all sample metrics, computed in one pass, but for those that have `failed`. The processes of a run
    share its batches."""
    count = context.settings.num_samples
    metrics = {}
    for name in names:
        with _noting(failed, name):
            metrics[name] = (FUNCTIONS | SAMPLE_METRICS)[name](context, count, seed)
    reads = any(METRICS[name].extractor for name in names)

    def read(images: Tensor, given: Condition) -> SampleBatch:
        found = context.extractor.read(images.to(run.device)).cpu() if reads else Reading(images[:0], images[:0])
        return SampleBatch(images, given.get("label") if context.own else None, found)

    own = starmap(read, run.draw(count, seed, shared=True, **context.settings.sampling))
    with (
        progress("measuring samples", count, context.progress) as count_on,
        _noting(failed, *(name for name in names if name not in failed)),
    ):
        for batch in gather_in_order(own):
            for name in [name for name in metrics if name not in failed]:
                with _noting(failed, name):
                    metrics[name].update(batch)
            count_on(len(batch.images))
    values = {}
    for name in [name for name in metrics if name not in failed and rank() == 0]:
        with _noting(failed, name):
            values[name] = metrics[name].result()
    values, more = from_first((values, failed))
    failed |= more
    return values


def _entry(repeats: list[MetricValue], direction: Direction, protocol: dict[str, Any]) -> dict[str, Any]:
    values, first = [repeat.value for repeat in repeats], repeats[0]
    details = {**first.details, **({"details_of": "the first repeat"} if len(values) > 1 else {})}
    told = {"direction": direction, "protocol": {**protocol, **details}}
    if broken := [value for value in values if not math.isfinite(value)]:  # JSON has neither NaN nor infinity
        note = f"came out as {broken[0]}"
        return {"value": None, "std": None, "std_over": None, "values": [], **told, "note": note}
    std, over = (first.std, first.std_over) if len(values) == 1 else (statistics.stdev(values), "repeats")
    if std is None or not math.isfinite(std):
        std = over = None
    return {"value": math.fsum(values) / len(values), "std": std, "std_over": over, "values": values, **told}


def write(entries: dict[str, dict], path: Path) -> None:
    """Add `entries` to an evaluation.json atomically. Its other metrics are kept, each with its protocol."""
    replace_text(path, json_text({"metrics": {**measured_before(path), **entries}}, indent=2))


def measured_before(path: Path) -> dict[str, dict]:
    """The entries of an evaluation.json, if there is one. `ValueError` if no others can be added to it."""
    try:
        return dict(read_json(path)["metrics"]) if os.path.lexists(path) else {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not an evaluation that can be added to; remove it") from error
