"""Which metrics apply to a run: those asked for, or all that can be measured."""

import logging
from collections.abc import Sequence

from genlab.contract.model import CAPABILITIES
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.data_metrics import fields_of
from genlab.inference.run import Run
from genlab.media.kinds import KINDS, shown_kind
from genlab.metrics.catalogue import METRICS, known, unknown
from genlab.system.distributed import rank

log = logging.getLogger("genlab")


def choose(run: Run, context: EvaluationContext, asked: Sequence[str] | None) -> list[str]:
    """Names of the metrics to measure: the ones `asked` for, or by default all that apply.

    `ValueError` if one is unknown, or needs something that the model, the data or the extractor lacks.
    """
    run.conditioning.check_sampling(context.settings.sampling)
    if asked is None:
        left_out = [  # what reads all training images is slow
            name for name, metric in known().items() if metric.asked or (context.quick and metric.own_data)
        ]
        fitting = [name for name in METRICS if name not in left_out and _obstacle(name, run, context) is None]
        slow = [name for name in fitting if not set(METRICS[name].needs).isdisjoint(run.model.slow)]
        fitting = [name for name in fitting if name not in slow]
        for name in slow if rank() == 0 else ():
            log.info("%s: left out, as it takes long; metrics=[%s] num_images=500 measures 500 images", name, name)
        too_few = {name: reason for name in fitting if (reason := _too_few(name, context))}
        for name, reason in too_few.items() if rank() == 0 else ():
            log.warning("%s: left out: %s", name, reason)
        return _with_extractor([name for name in fitting if name not in too_few], context)
    problems = list(unknown(asked)) or [
        f"metrics={name}: {reason}"
        for name in asked
        if (reason := _obstacle(name, run, context) or _too_few(name, context))
    ]
    if not asked:
        problems = [f"metrics=[]: name at least one; there are {', '.join(METRICS)}"]
    if problems:
        raise ValueError("\n".join(problems))
    return _with_extractor(list(dict.fromkeys(asked)), context)


def _with_extractor(names: list[str], context: EvaluationContext) -> list[str]:
    """`names`, once the extractor is made that they need: `ValueError` if it cannot be, before anything is measured."""
    if any(METRICS[name].extractor for name in names):
        _ = context.extractor
    return names


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
    if metric.palette and not any(field.palette for field in context.source.spec.fields.values()):
        return "reads label maps, and this dataset has none; dataset.palette gives the colours of their classes"
    if metric.sound and not any(field.spectrogram for field in context.source.spec.fields.values()):
        return "is of speech, and this dataset has none"
    if metric.modes and not context.source.modes:
        return f"the modes of dataset {context.title} are not known"
    if metric.channels and not context.source.channel:
        return f"the channels of dataset {context.title} are no images of their own"
    if metric.classes and not context.extractor.num_classes:
        return (
            f"extractor {context.extractor.name} reads no classes; leave it out, or use extractor=classifier on data "
            "with labels, whatever its controls say"
        )
    if metric.own_data and not context.own:
        return "is a question about the data that the run was trained on; leave dataset out"
    return None


def _too_few(name: str, context: EvaluationContext) -> str | None:
    """Why a metric of so few samples or real images would say nothing, None if there are enough."""
    metric = METRICS[name]
    least_samples, least_real, why = metric.least_samples, metric.least_real, ""
    if metric.covariance:
        least = context.num_features + 1
        least_samples, least_real = max(least_samples, least), max(least_real, least)
        why = f", more than extractor {context.extractor.name} has features"
    if (found := context.settings.num_samples) < least_samples:
        return f"needs num_samples={least_samples} or more{why}, not {found}"
    if (found := context.source.sizes[context.split]) < least_real:
        return f"needs {least_real} real images or more{why}, and {context.split} of {context.title} has {found}"
    return None
