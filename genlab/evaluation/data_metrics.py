"""Metrics that look at real pictures through a run: likelihoods, reconstructions, latents, translations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.data.loading import VALIDATION_BATCH
from genlab.data.spec import Batch
from genlab.evaluation.bench import Bench, Best, Figure
from genlab.evaluation.disentanglement.scores import SCORES, disentanglement_scores
from genlab.evaluation.kernel import BLOCK, KernelDistance
from genlab.evaluation.latents import active_units, total_correlation
from genlab.evaluation.likelihood import likelihood_bounds
from genlab.evaluation.reconstruction import mean_squared_error, peak_signal_to_noise, structural_similarity
from genlab.sampling.load import PORTION, Run
from genlab.seeding import seeded

_MOST_DECODED = 4096
"""Latents decoded at once for bounds on the likelihood."""

_CODES_FOR_EACH_LATENT = 10
"""Fewer pictures than that say more about chance than about the correlation of latents."""


@dataclass(frozen=True)
class DataMetric:
    """One measurement.

    figures: names of what `measure` gives, and which way of each is better. needs: capabilities of the model.
    fields: what a batch must hold, beside pictures. draws, reads: whether chance, or the extractor, takes part.
    """

    measure: Callable[[Run, Bench, int], dict[str, Figure]]
    figures: dict[str, Best]
    needs: tuple[str, ...]
    fields: tuple[str, ...] = ()
    draws: bool = False
    reads: bool = False


def measure_likelihood(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """elbo (beta = 1) and importance_weighted_bound in nats, from the same draws, and the latter in bits_per_dim."""
    draws = bench.settings.importance_samples

    def bounds(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        with seeded(seed, number):
            found = likelihood_bounds(run.model, batch["image"], draws, max(1, _MOST_DECODED // batch.size))
        return found.elbo.cpu(), found.importance_weighted.cpu()

    parts = bench.over_batches("bounds on the likelihood", bounds)
    elbo, tighter = (torch.cat(column) for column in zip(*parts, strict=True))
    details = {"unit": "nats per picture", "draws": draws, "pictures": len(elbo)}
    bits = float(run.model.bits_per_dim(tighter.mean()))
    return {
        "elbo": _over_pictures(elbo, details),
        "importance_weighted_bound": _over_pictures(tighter, details),
        "bits_per_dim": Figure(bits, details={**details, "unit": "bits per dimension"}),
    }


def measure_exact_likelihood(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """log_likelihood in nats."""

    def log_prob(number: int, batch: Batch) -> Tensor:
        return run.model.log_prob(batch["image"]).cpu().double()

    nats = torch.cat(list(bench.over_batches("likelihood", log_prob)))
    return {"log_likelihood": _over_pictures(nats, {"unit": "nats per picture"})}


def measure_reconstruction(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """mse, psnr (of each picture, then the mean; dB) and ssim of reconstructions."""
    measures = {"mse": mean_squared_error, "psnr": peak_signal_to_noise, "ssim": structural_similarity}

    def compare(number: int, batch: Batch) -> list[Tensor]:
        x, y = batch["image"].float(), run.model.reconstruct(batch["image"]).float()
        return [measure(x, y).cpu() for measure in measures.values()]

    columns = zip(*bench.over_batches("reconstructions", compare), strict=True)
    return {name: _over_pictures(torch.cat(parts), {"range": 1}) for name, parts in zip(measures, columns, strict=True)}


def _over_pictures(values: Tensor, details: dict) -> Figure:
    """Mean and standard deviation of a number for each picture [N]."""
    spread = values.std().item() if len(values) > 1 else None
    return Figure(values.mean().item(), spread, "pictures", {**details, "pictures": len(values)})


def measure_latents(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """active_units, where the model has a prior whose units these are, and total_correlation, given enough pictures."""

    def encode(number: int, batch: Batch) -> Tensor:
        return run.model.encode(batch["image"]).float().cpu()

    codes = torch.cat(list(bench.over_batches("latents", encode)))
    details = {"pictures": len(codes), "latents": codes.shape[1]}
    figures = {}
    if run.can("prior") and len(codes) > 1:
        figures["active_units"] = Figure(active_units(codes), details={**details, "threshold": 0.01})
    if len(codes) >= _CODES_FOR_EACH_LATENT * codes.shape[1]:
        estimate = "of a normal distribution with the covariance of the codes; too large by L (L - 1) / 4N on average"
        gaussian = {**details, "unit": "nats", "estimate": estimate}
        figures["total_correlation"] = Figure(total_correlation(codes), details=gaussian)
    return figures


def measure_disentanglement(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """mig, sap, dci, FactorVAE and beta-VAE scores against the known factors."""

    def encode(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        return run.model.encode(batch["image"]).float().cpu(), batch["factors"].float().cpu()

    codes, factors = (torch.cat(column) for column in zip(*bench.over_batches("factors", encode), strict=True))
    scores = disentanglement_scores(codes, factors, seed, bench.source.categorical_factors)
    details = {"pictures": len(codes), "latents": codes.shape[1], "factors": factors.shape[1]}
    return {name: Figure(value, details=details) for name, value in scores.items()}


def measure_translation(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """By domain: cycle_error, counterpart_error where the truth is known, and kernel_distance to real pictures.

    Errors are mean absolute differences in [0, 1]; counterpart errors are shares of that of not translating.
    """
    figures = {}
    sizes = [len(table) for table in bench.source.open(bench.split)]
    for domain, other, size in zip(run.data.domains, run.data.domains[::-1], sizes, strict=True):
        way = _one_way(run, bench, seed, domain, other, size)
        figures |= {f"{name}/{domain}": figure for name, figure in way}
    return figures


@dataclass(frozen=True)
class _Translated:
    """Part of a domain: pictures, sums of their errors by name, and the features of what became of them."""

    pictures: int
    errors: dict[str, float]
    features: Tensor


def _one_way(run: Run, bench: Bench, seed: int, domain: str, other: str, size: int) -> Iterator[tuple[str, Figure]]:
    """The figures of carrying all `size` pictures of `domain` to the `other` one."""

    def carry(number: int, batch: Batch) -> _Translated:
        x = batch[domain][: max(0, size - number * VALIDATION_BATCH)]  # the smaller domain starts again at its end
        if not len(x):
            return _Translated(0, {}, real.features[:0])
        with seeded(seed, number):
            translated = torch.cat([run.model.translate(part, other) for part in x.split(_small(x))])
            cycle = torch.cat([run.model.translate(part, domain) for part in translated.split(_small(x))])
        errors = {"cycle": l1_loss(cycle, x).item() * len(x)}
        if (truth := batch.fields.get(f"{domain}_as_{other}")) is not None:
            errors["error"] = l1_loss(translated, truth[: len(x)]).item() * len(x)
            errors["untouched"] = l1_loss(x, truth[: len(x)]).item() * len(x)
        return _Translated(len(x), errors, bench.extractor(translated.float()).cpu())

    real = bench.read_field(other)
    distance = KernelDistance(real.features, min(BLOCK, len(real.features), size))
    totals = dict.fromkeys(("cycle", "error", "untouched"), 0.0)
    pictures = 0
    for part in bench.over_batches(f"translating {domain} to {other}", carry):
        pictures += part.pictures
        for name, error in part.errors.items():
            totals[name] += error
        distance.update(part.features)
    details = {"pictures": pictures, "direction": f"{domain} to {other}"}
    yield "cycle_error", Figure(totals["cycle"] / pictures, details=details)
    if totals["untouched"]:
        yield "counterpart_error", Figure(totals["error"] / totals["untouched"], details=details)
    found = distance.result()
    mean, spread = found.pop("mean"), found.pop("spread")
    yield "translation_kernel_distance", Figure(mean, spread, "blocks", {**details, **found})


def _small(x: Tensor) -> int:
    """Pictures at a time for networks whose inner maps are as large as the picture."""
    return max(1, PORTION * 32 * 32 // (x.shape[-2] * x.shape[-1]) // 2)


_TRANSLATED = ("cycle_error", "counterpart_error", "translation_kernel_distance")

DATA_METRICS = {
    "likelihood": DataMetric(
        measure_likelihood,
        {"elbo": "max", "importance_weighted_bound": "max", "bits_per_dim": "min"},
        ("log_weights",),
        draws=True,
    ),
    "exact_likelihood": DataMetric(measure_exact_likelihood, {"log_likelihood": "max"}, ("log_prob",)),
    "reconstruction": DataMetric(
        measure_reconstruction, {"mse": "min", "psnr": "max", "ssim": "max"}, ("reconstruct",)
    ),
    "latents": DataMetric(measure_latents, {"active_units": None, "total_correlation": "min"}, ("encode",)),
    "disentanglement": DataMetric(
        measure_disentanglement, dict.fromkeys(SCORES, "max"), ("encode",), ("factors",), draws=True
    ),
    "translation": DataMetric(
        measure_translation,
        {f"{name}/{domain}": "min" for name in _TRANSLATED for domain in ("a", "b")},
        ("translate",),
        draws=True,
        reads=True,
    ),
}


def fields_of(bench: Bench) -> frozenset[str]:
    """Names of all fields of a batch of the bench's data, those included that no model can require."""
    batch: Batch = next(bench.loader.in_order(limit=1))
    return frozenset(batch.fields)
