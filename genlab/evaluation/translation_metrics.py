"""Metrics of translations: how like the other domain they are and, where the true counterparts are known, how near to
them, beside answers that need no model.
"""

import logging
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from genlab.contract.data import Batch
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.simple_answers import simple_answers
from genlab.inference.run import Run
from genlab.metrics.catalogue import BASELINES, FEWEST_KERNEL
from genlab.metrics.colour import chroma_error
from genlab.metrics.kernel import BLOCK, KernelDistance
from genlab.metrics.neighbours import nearest
from genlab.metrics.reconstruction import mean_absolute_gradient, peak_signal_to_noise, structural_similarity
from genlab.metrics.sliced_wasserstein import monge_distance
from genlab.system.device import computing
from genlab.system.distributed import rank
from genlab.system.seeding import mix, seeded

log = logging.getLogger("genlab")

T = TypeVar("T")

_PROJECTIONS = 1_000

_GRADIENTS = ("gradient", "true_gradient")


def measure_translation(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """Per domain: cycle_error, a mean absolute difference in [0, 1], if the model translates back; content_kept, the
    share of unpaired translations whose outlines are more like those of their own original than of any
    other; kernel distance and MIND between features of translations and of real images, if there are enough, beside
    those of images as they are.
    """
    values: dict[str, MetricValue] = {}
    for domain, other in run.model.directions:
        found = _one_direction(run, context, seed, domain, other)
        values |= {f"{name}/{domain}": value for name, value in found}
    return values


def over_translations(
    run: Run,
    context: EvaluationContext,
    seed: int,
    direction: tuple[str, str],
    work: Callable[[Batch, Tensor, Tensor], T],
) -> list[T]:
    """Results, on the CPU, of `work(batch, rows, y)` for each batch of the split, whose translations y are those of the
    rows [N] of a domain, the first of `direction`, to the other."""
    domain, other = direction

    def translate(number: int, batch: Batch) -> T:
        rows = number * context.loader.rows + torch.arange(len(batch[domain]))
        with seeded(seed, number):
            return work(batch, rows, run.model.translate(batch[domain], other))

    return list(context.over_batches(f"translating {domain} to {other}", translate))


def _one_direction(
    run: Run, context: EvaluationContext, seed: int, domain: str, other: str
) -> Iterator[tuple[str, MetricValue]]:
    """Metrics of translating all images of `domain` to the `other` one."""
    tables = context.source.open(context.split)
    size = len(tables[0] if domain == "a" else tables[-1])
    leads_back = domain in run.model.targets

    def compare(batch: Batch, rows: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Cycle errors [n], features [n, D] and outlines [n, P] of the translations, and outlines of the originals."""
        y = y[rows < size]  # the smaller domain wraps around
        if not len(y):
            return ()
        x = batch[domain][: len(y)]
        errors = torch.empty(0)
        if leads_back:
            errors = (run.model.translate(y, domain) - x).abs().flatten(1).mean(1).cpu()
        return errors, context.extractor(y.float()).cpu(), _outlines(y), _outlines(x)

    parts = filter(len, over_translations(run, context, seed, (domain, other), compare))
    errors, translated, outlines, originals = (torch.cat(part) for part in zip(*parts, strict=True))
    real = context.read_field(other).features
    details = {"images": size, "direction": f"{domain} to {other}"}
    if len(errors):
        yield "cycle_error", MetricValue(errors.double().mean().item(), details=details)
    if not run.data.paired:  # others have true counterparts, and edges or label maps are light where these are dark
        own = nearest(outlines, [originals]).rows[:, 0] == torch.arange(size)
        chance = {BASELINES: {"chance": 1 / size}}
        yield "content_kept", MetricValue(own.double().mean().item(), details={**details, **chance})
    if (block := min(BLOCK, len(real), size)) < FEWEST_KERNEL:
        if rank() == 0:
            log.warning(
                "translation_kernel_distance/%s, translation_mind/%s: left out: need %d images or more of a and of b, "
                "and one of them has %d", domain, domain, FEWEST_KERNEL, block)  # fmt: skip
        return
    for name, measure in (("translation_kernel_distance", _kernel_distance), ("translation_mind", mind)):
        found = measure(translated, real, seed)
        found.details |= details
        if run.data[domain].shape == run.data[other].shape:
            untouched = context.read_field(domain).features
            found.details[BASELINES] = {"untranslated": measure(untouched, real, seed).value}
        yield name, found


def _outlines(x: Tensor) -> Tensor:
    """Images [N, C, H, W] as vectors [N, P] of length 1, whose products are the correlations of lightness, in at most
    32x32 places."""
    height, width = (min(side, 32) for side in x.shape[2:])
    light = adaptive_avg_pool2d(x.float().mean(1), (height, width)).flatten(1).cpu()
    return normalize(light - light.mean(1, keepdim=True))


def _kernel_distance(samples: Tensor, real: Tensor, seed: int) -> MetricValue:
    distance = KernelDistance(real, min(BLOCK, len(real), len(samples)), seed)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(mix(seed, 2)))  # datasets are sorted
    distance.update(samples[order])
    found = distance.result()
    return MetricValue(found.pop("mean"), found.pop("std"), "blocks", found)


def mind(samples: Tensor, real: Tensor, seed: int) -> MetricValue:
    """`monge_distance` between features [N, D] and [M, D], of as many of each."""
    count = min(len(samples), len(real))
    samples, real = (side[torch.linspace(0, len(side) - 1, count).round().long()] for side in (samples, real))
    directions = torch.randn(_PROJECTIONS, real.shape[1], generator=torch.Generator().manual_seed(mix(seed, 1)))
    details = {"directions": _PROJECTIONS, "samples": count, "real": count}
    with computing(samples.device, "fp32"):
        return MetricValue(monge_distance(samples, real, directions).item(), details=details)


def measure_pairs(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """Per domain whose true counterparts are known: errors of the translations, each beside those of answers that need
    no model (see `simple_answers`). Pixels are in [0, 1].

    translation_error: mean absolute error. paired_error: the same relative to that of images as they are, if they have
    the shape of the truth; changed_error: over the pixels that the truth changes. translation_psnr in dB,
    translation_ssim. translation_sharpness: mean absolute gradient, relative to that of the truth. chroma_error: of the
    colours alone, in CIELAB.
    """
    values: dict[str, MetricValue] = {}
    for domain, other in run.model.directions:
        found = _columns(run, context, seed, domain, other)
        simple = [name for name in found if name]
        details = {"images": len(found[""]["translation_error"]), "direction": f"{domain} to {other}"}
        for name in (name for name in found[""] if name not in _GRADIENTS):
            column = found[""][name].double()
            beside = {answer: found[answer][name].double().nanmean().item() for answer in simple}
            values[f"{name}/{domain}"] = _over_images(column[~column.isnan()], beside, details)
        sharpness = {answer: _ratio(*(found[answer][name] for name in _GRADIENTS)) for answer in found}
        if math.isfinite(sharpness[""]):
            own = sharpness.pop("")
            values[f"translation_sharpness/{domain}"] = MetricValue(own, details={**details, BASELINES: sharpness})
        if run.data[domain].shape == run.data[other].shape:
            relative = _ratio(found[""]["translation_error"], found["untranslated"]["translation_error"])
            if math.isfinite(relative):  # not of images that are their own truth
                values[f"paired_error/{domain}"] = MetricValue(relative, details=details)
    return values


def _over_images(column: Tensor, beside: dict[str, float], details: dict) -> MetricValue:
    std = column.std().item() if len(column) > 1 else None
    finite = {name: value for name, value in beside.items() if math.isfinite(value)}
    return MetricValue(column.mean().item(), std, "images", {**details, BASELINES: finite})


def _ratio(values: Tensor, wanted: Tensor) -> float:
    return (values.double().mean() / wanted.double().mean()).item()


def _columns(run: Run, context: EvaluationContext, seed: int, domain: str, other: str) -> dict[str, dict[str, Tensor]]:
    """One value per image [N] by measure, of the translations (under "") and of each simple answer."""
    answers = simple_answers(context, domain, other)

    def compare(batch: Batch, rows: Tensor, y: Tensor) -> dict[str, dict[str, Tensor]]:
        x, truth = batch[domain].float().cpu(), batch[f"{domain}_as_{other}"].float().cpu()
        found = {"": y.float().cpu()} | {name: answer(x, rows) for name, answer in answers.items()}
        return {name: _errors(image, truth, x) for name, image in found.items()}

    parts = over_translations(run, context, seed, (domain, other), compare)
    return {name: {key: torch.cat([part[name][key] for part in parts]) for key in parts[0][name]} for name in parts[0]}


def _errors(y: Tensor, truth: Tensor, x: Tensor) -> dict[str, Tensor]:
    """Measures [N] of images y against the truth [N, C, H, W], x being what they were made of."""
    found = {
        "translation_error": (y - truth).abs().flatten(1).mean(1),
        "translation_psnr": peak_signal_to_noise(y, truth),
        "translation_ssim": structural_similarity(y, truth),
        "gradient": mean_absolute_gradient(y),
        "true_gradient": mean_absolute_gradient(truth),
    }
    if truth.shape[1] == 3:
        found["chroma_error"] = chroma_error(y, truth)
    if x.shape == truth.shape:
        changed = (x != truth).any(1, keepdim=True).expand_as(truth).flatten(1)
        found["changed_error"] = ((y - truth).abs().flatten(1) * changed).sum(1) / changed.sum(1)
    return found
