"""How well translations agree with label maps: the FCN-score of photographs, and the accuracy of label maps."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.contract.data import Batch
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.label_reader import LabelReader
from genlab.evaluation.simple_answers import simple_answers
from genlab.evaluation.translation_metrics import over_translations
from genlab.inference.run import Run
from genlab.media.label_maps import classes_of
from genlab.metrics.catalogue import BASELINES


def measure_label_maps(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """label_accuracy: share of the pixels whose class is right; label_accuracy_by_class: mean of this share over the
    classes. Of photographs, a reader trained on real pairs says the classes (FCN-score), beside what it reads in real
    photographs; of label maps, the nearest colours do.
    """
    spec, values = context.source.spec, {}
    labels = next(name for name in "ab" if spec[name].palette)
    for domain, other in run.model.directions:
        reader = LabelReader(context.whole, labels, other) if domain == labels else None
        read = reader or (lambda images: classes_of(images, spec[labels].palette))
        counts = _counts(run, context, seed, (domain, other), labels, read)
        details = {"direction": f"{domain} to {other}", "classes": len(spec[labels].palette)}
        details |= {"reader_sha256": reader.identity} if reader else {}
        for name, measure in (("label_accuracy", _of_pixels), ("label_accuracy_by_class", _by_class)):
            found = {answer: measure(*both) for answer, both in counts.items()}
            values[f"{name}/{domain}"] = MetricValue(found.pop(""), details={**details, BASELINES: found})
    return values


def _counts(
    run: Run,
    context: EvaluationContext,
    seed: int,
    direction: tuple[str, str],
    labels: str,
    read: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Pixels of each class that are read rightly, and all of them, [2, K] by answer; the run's is ""."""
    domain, other = direction
    answers, palette = simple_answers(context, domain, other), context.source.spec[labels].palette

    def compare(batch: Batch, rows: Tensor, y: Tensor) -> dict[str, Tensor]:
        x, truth = batch[domain].float().cpu(), classes_of(batch[labels].float().cpu(), palette)
        images = {"": y.float().cpu()}
        if domain == labels:
            images["real"] = batch[other].float().cpu()
        images |= {name: answer(x, rows) for name, answer in answers.items()}
        counted = {}
        for name, image in images.items():
            right = truth[read(image) == truth].bincount(minlength=len(palette))
            counted[name] = torch.stack([right, truth.flatten().bincount(minlength=len(palette))])
        return counted

    parts = over_translations(run, context, seed, direction, compare)
    return {name: torch.stack([part[name] for part in parts]).sum(0) for name in parts[0]}


def _of_pixels(right: Tensor, all_: Tensor) -> float:
    return (right.sum() / all_.sum()).item()


def _by_class(right: Tensor, all_: Tensor) -> float:
    return (right[all_ > 0] / all_[all_ > 0]).mean().item()
