"""Metrics that look at real pictures through a run: likelihoods, reconstructions, latents, translations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.data.spec import Batch
from genlab.evaluation.bench import Bench, Figure
from genlab.evaluation.disentanglement.scores import disentanglement_scores
from genlab.evaluation.kernel import KernelDistance
from genlab.evaluation.latents import active_units, total_correlation
from genlab.evaluation.likelihood import likelihood_bounds
from genlab.evaluation.reconstruction import mean_squared_error, peak_signal_to_noise, structural_similarity
from genlab.sampling.load import PORTION, Run
from genlab.seeding import seeded

_MOST_DECODED = 4096
"""Latents decoded at once for bounds on the likelihood."""

_BLOCK = 1_000


@dataclass(frozen=True)
class DataMetric:
    """One measurement. needs: capabilities of the model; fields: what a batch must hold, beside pictures."""

    measure: Callable[[Run, Bench, int], dict[str, Figure]]
    needs: tuple[str, ...]
    fields: tuple[str, ...] = ()


def measure_likelihood(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """elbo (beta = 1) and importance_weighted_bound in nats, from the same draws, and the latter in bits_per_dim."""
    draws, bounds = bench.settings.importance_samples, []
    for number, batch in enumerate(bench.batches("bounds on the likelihood")):
        with seeded(seed, number):
            bounds.append(likelihood_bounds(run.model, batch["image"], draws, max(1, _MOST_DECODED // batch.size)))
    elbo = torch.cat([part.elbo for part in bounds])
    tighter = torch.cat([part.importance_weighted for part in bounds])
    details = {"unit": "nats per picture", "draws": draws, "pictures": len(elbo)}
    deviation = {"spread_over": "pictures", "details": details}
    return {
        "elbo": Figure(elbo.mean().item(), "max", elbo.std().item(), **deviation),
        "importance_weighted_bound": Figure(tighter.mean().item(), "max", tighter.std().item(), **deviation),
        "bits_per_dim": Figure(
            float(run.model.bits_per_dim(tighter.mean())), "min", details={**details, "unit": "bits per dimension"}
        ),
    }


def measure_exact_likelihood(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """log_likelihood in nats."""
    parts = [run.model.log_prob(batch["image"]).cpu().double() for batch in bench.batches("likelihood")]
    found = torch.cat(parts)
    details = {"unit": "nats per picture", "pictures": len(found)}
    return {"log_likelihood": Figure(found.mean().item(), "max", found.std().item(), "pictures", details)}


def measure_reconstruction(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """mse, psnr (of each picture, then the mean; dB) and ssim of reconstructions."""
    measures = {"mse": mean_squared_error, "psnr": peak_signal_to_noise, "ssim": structural_similarity}
    found: dict[str, list[Tensor]] = {name: [] for name in measures}
    for batch in bench.batches("reconstructions"):
        x = batch["image"].float()
        y = run.model.reconstruct(batch["image"]).float()
        for name, measure in measures.items():
            found[name].append(measure(x, y))
    values = {name: torch.cat(parts) for name, parts in found.items()}
    return {
        name: Figure(
            value.mean().item(),
            "min" if name == "mse" else "max",
            value.std().item(),
            "pictures",
            {"pictures": len(value), "range": 1},
        )
        for name, value in values.items()
    }


def measure_latents(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """active_units and total_correlation of the codes."""
    codes = torch.cat([run.model.encode(batch["image"]).float().cpu() for batch in bench.batches("latents")])
    details = {"pictures": len(codes), "latents": codes.shape[1]}
    gaussian = {**details, "unit": "nats", "estimate": "of a normal distribution with the covariance of the codes"}
    return {
        "active_units": Figure(active_units(codes), None, details={**details, "threshold": 0.01}),
        "total_correlation": Figure(total_correlation(codes), "min", details=gaussian),
    }


def measure_disentanglement(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """mig, sap, dci, FactorVAE and beta-VAE scores against the known factors."""
    codes, factors = [], []
    for batch in bench.batches("factors"):
        codes.append(run.model.encode(batch["image"]).float().cpu())
        factors.append(batch["factors"].float().cpu())
    codes, factors = torch.cat(codes), torch.cat(factors)
    scores = disentanglement_scores(codes, factors, seed, bench.source.categorical_factors)
    details = {"pictures": len(codes), "latents": codes.shape[1], "factors": factors.shape[1]}
    return {name: Figure(value, "max", details=details) for name, value in scores.items()}


def measure_translation(run: Run, bench: Bench, seed: int) -> dict[str, Figure]:
    """By domain: cycle_error, counterpart_error where the truth is known, and kernel_distance to real pictures.

    Errors are mean absolute differences in [0, 1]; counterpart errors are shares of that of not translating.
    """
    figures = {}
    for domain, other in (run.data.domains, run.data.domains[::-1]):
        real = bench.read_field(other)
        distance = KernelDistance(real.features, min(_BLOCK, len(real.features), bench.loader().size), seed)
        totals = dict.fromkeys(("cycle", "error", "untouched"), 0.0)
        pictures = 0
        with seeded(seed):
            for batch in bench.batches(f"translating {domain} to {other}"):
                x, truth = batch[domain], f"{domain}_as_{other}"
                translated = torch.cat([run.model.translate(part, other) for part in x.split(_small(x))])
                cycle = torch.cat([run.model.translate(part, domain) for part in translated.split(_small(x))])
                totals["cycle"] += l1_loss(cycle, x).item() * len(x)
                if truth in batch:
                    totals["error"] += l1_loss(translated, batch[truth]).item() * len(x)
                    totals["untouched"] += l1_loss(x, batch[truth]).item() * len(x)
                distance.update(bench.extractor(translated.float()))
                pictures += len(x)
        details = {"pictures": pictures, "direction": f"{domain} to {other}"}
        figures[f"cycle_error/{domain}"] = Figure(totals["cycle"] / pictures, "min", details=details)
        if totals["untouched"]:
            share = totals["error"] / totals["untouched"]
            figures[f"counterpart_error/{domain}"] = Figure(share, "min", details=details)
        found = distance.result()
        mean, spread = found.pop("mean"), found.pop("spread")
        figures[f"translation_kernel_distance/{domain}"] = Figure(mean, "min", spread, "blocks", {**details, **found})
    return figures


def _small(x: Tensor) -> int:
    """Pictures at a time for networks whose inner maps are as large as the picture."""
    return max(1, PORTION * 32 * 32 // (x.shape[-2] * x.shape[-1]) // 2)


DATA_METRICS = {
    "likelihood": DataMetric(measure_likelihood, ("log_weights",)),
    "exact_likelihood": DataMetric(measure_exact_likelihood, ("log_prob",)),
    "reconstruction": DataMetric(measure_reconstruction, ("reconstruct",)),
    "latents": DataMetric(measure_latents, ("encode",)),
    "disentanglement": DataMetric(measure_disentanglement, ("encode",), ("factors",)),
    "translation": DataMetric(measure_translation, ("translate",)),
}


def fields_of(bench: Bench) -> frozenset[str]:
    """Names of all fields of a batch of the bench's data, those included that no model can require."""
    batch: Batch = next(bench.loader().in_order(limit=1))
    return frozenset(batch.fields)
