"""Metrics computed on real images with a run: likelihoods, reconstructions, latents; translations have a file of their
own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genlab.contract.data import Batch
from genlab.evaluation.class_metrics import measure_codes, measure_neighbours
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.label_metrics import measure_label_maps
from genlab.evaluation.translation_metrics import measure_pairs, measure_translation
from genlab.evaluation.voice_metrics import measure_voices
from genlab.inference.run import Run
from genlab.media.kinds import shown_kind
from genlab.metrics.disentanglement.scores import disentanglement_scores
from genlab.metrics.latents import active_units, total_correlation
from genlab.metrics.likelihood import likelihood_bounds
from genlab.metrics.reconstruction import mean_squared_error, peak_signal_to_noise, structural_similarity
from genlab.system.seeding import seeded

_MOST_DECODED = 4096
"""Latents decoded at once for the likelihood bounds."""

_IMAGES_FOR_EACH_LATENT = 10
"""With fewer images per latent dimension, estimated correlations are mostly noise."""


def measure_likelihood(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """elbo (beta = 1) and importance_weighted_bound in nats, from the same latents; the latter also as bits_per_dim."""
    draws = context.settings.importance_samples

    def bounds(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        with seeded(seed, number):
            given = run.model.given(run.model.condition(batch))
            found = likelihood_bounds(run.model, batch["x"], draws, max(1, _MOST_DECODED // batch.size), *given)
        return found.elbo.cpu(), found.importance_weighted.cpu()

    parts = context.over_batches("bounds on the likelihood", bounds)
    elbo, tighter = (torch.cat(column) for column in zip(*parts, strict=True))
    details = {"unit": "nats per example", "importance_samples": draws, "images": len(elbo)}
    return {
        "elbo": _over_images(elbo, details),
        "importance_weighted_bound": _over_images(tighter, details),
        **_bits_per_dim(run, tighter, details),
    }


def _bits_per_dim(run: Run, nats: Tensor, details: dict[str, Any]) -> dict[str, MetricValue]:
    """The mean of log-likelihoods [N] in bits per dimension, where the data have discrete levels."""
    if not (shown_kind(run.data).levels and hasattr(run.model, "bits_per_dim")):
        return {}
    bits = float(run.model.bits_per_dim(nats.mean()))
    return {"bits_per_dim": MetricValue(bits, details={**details, "unit": "bits per dimension"})}


def measure_exact_likelihood(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """log_likelihood in nats; also as bits_per_dim."""
    return _nats(run, context, seed, run.model.log_prob, "log_likelihood")


def measure_variational_bound(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """variational_bound in nats; also as bits_per_dim."""
    return _nats(run, context, seed, run.model.elbo, "variational_bound")


def _nats(
    run: Run, context: EvaluationContext, seed: int, measure: Callable[..., Tensor], name: str
) -> dict[str, MetricValue]:
    def measured(number: int, batch: Batch) -> Tensor:
        with seeded(seed, number):  # for what draws noise, such as that of grey levels
            return measure(batch["x"], *run.model.given(run.model.condition(batch))).cpu().double()

    nats = torch.cat(list(context.over_batches("likelihood", measured)))
    return {name: _over_images(nats, {"unit": "nats per example"}), **_bits_per_dim(run, nats, {"images": len(nats)})}


def measure_reconstruction(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """mse and, of images, psnr (per image, then averaged; dB) and ssim of reconstructions."""
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mean_squared_error}
    if bounds := shown_kind(run.data).bounds:
        measures |= {"psnr": peak_signal_to_noise, "ssim": structural_similarity}
    details = {"range": bounds[1] - bounds[0]} if bounds else {}

    def compare(number: int, batch: Batch) -> list[Tensor]:
        x, given = batch["x"], run.model.given(run.model.condition(batch))
        y = run.model.reconstruct(x, *given).float()
        return [measure(x.float(), y).cpu() for measure in measures.values()]

    columns = zip(*context.over_batches("reconstructions", compare), strict=True)
    return {name: _over_images(torch.cat(parts), details) for name, parts in zip(measures, columns, strict=True)}


def _over_images(values: Tensor, details: dict) -> MetricValue:
    """Mean and standard deviation of one value per image [N]."""
    std = values.std().item() if len(values) > 1 else None
    return MetricValue(values.mean().item(), std, "images", {**details, "images": len(values)})


def measure_latents(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """active_units if the model has a prior, and total_correlation if there are enough images."""
    latents = torch.cat(list(context.over_batches("latents", lambda _, batch: _encode(run, batch)))).flatten(1)
    details = {"images": len(latents), "latents": latents.shape[1]}
    values = {}
    if run.can("prior") and len(latents) > 1:
        values["active_units"] = MetricValue(active_units(latents), details={**details, "threshold": 0.01})
    if len(latents) >= _IMAGES_FOR_EACH_LATENT * latents.shape[1]:
        estimate = "of a normal distribution with the latents' covariance; too large by L (L - 1) / 4N on average"
        gaussian = {**details, "unit": "nats", "estimate": estimate}
        values["total_correlation"] = MetricValue(total_correlation(latents), details=gaussian)
    return values


def _encode(run: Run, batch: Batch) -> Tensor:
    return run.model.encode(batch["x"], *run.model.given(run.model.condition(batch))).float().cpu()


def measure_disentanglement(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """mig, sap, dci, FactorVAE and beta-VAE scores, with the ground-truth factors."""

    def encode(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        return _encode(run, batch).flatten(1), batch["factors"].float().cpu()

    latents, factors = (torch.cat(column) for column in zip(*context.over_batches("factors", encode), strict=True))
    scores = disentanglement_scores(latents, factors, seed, context.source.categorical_factors)
    details = {"images": len(latents), "latents": latents.shape[1], "factors": factors.shape[1]}
    return {name: MetricValue(value, details=details) for name, value in scores.items()}


DATA_METRICS: dict[str, Callable[[Run, EvaluationContext, int], dict[str, MetricValue]]] = {
    "likelihood": measure_likelihood,
    "exact_likelihood": measure_exact_likelihood,
    "variational_bound": measure_variational_bound,
    "reconstruction": measure_reconstruction,
    "latents": measure_latents,
    "disentanglement": measure_disentanglement,
    "codes": measure_codes,
    "neighbours": measure_neighbours,
    "translation": measure_translation,
    "pairs": measure_pairs,
    "label_maps": measure_label_maps,
    "voices": measure_voices,
}
"""By name: (run, context, seed) to the values that the catalogue lists."""


def fields_of(context: EvaluationContext) -> frozenset[str]:
    """Names of all fields in a batch of the context's data, including those that no model can require."""
    batch: Batch = next(context.loader.in_order(limit=1))
    return frozenset(batch.fields)
