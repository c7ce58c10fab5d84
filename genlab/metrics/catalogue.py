"""All metrics of `genlab evaluate`: their values, directions and requirements. Imports nothing slow.

Help, sweeps, `trainer.best_metric` and tests of documents read this table. Plugins add theirs to it by `METRICS` of
their modules, which maps a name to a pair: a `Metric`, and the function that measures it, as in
`genlab.evaluation.sample_metrics.SAMPLE_METRICS` or `genlab.evaluation.data_metrics.DATA_METRICS`.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from genlab.metrics.metric import Direction, Metric, likelihood, of_domains, of_samples
from genlab.system.plugins import Broken, brought
from genlab.system.text import did_you_mean

log = logging.getLogger("genlab")

BASELINES = "baselines"
"""Entry of a value's protocol: what it would be of answers that need no model, by name."""

FEWEST_KERNEL = 50
"""Images on each side of a kernel distance: with fewer its error exceeds what separates good models from bad ones."""


METRICS: dict[str, Metric] = {
    "likelihood": likelihood(
        "ELBO (beta = 1), importance-weighted bound", "log_weights", "elbo", "importance_weighted_bound"
    ),
    "exact_likelihood": likelihood("log-likelihood", "log_prob", "log_likelihood"),
    "variational_bound": likelihood("bound on it from some of many steps", "elbo", "variational_bound"),
    "reconstruction": Metric(
        "data",
        "MSE, PSNR, SSIM",
        {"mse": "min", "psnr": "max", "ssim": "max"},
        ("reconstruct",),
        units={"psnr": "dB"},
    ),
    "latents": Metric(
        "data",
        "active units; total correlation, if there are ten images for each latent",
        {"active_units": None, "total_correlation": None},
        ("encode",),
        units={"total_correlation": "nats"},
    ),
    "disentanglement": Metric(
        "data",
        "MIG, SAP, DCI, FactorVAE and beta-VAE scores; if factors are known",
        {
            "mig": "max",
            "sap": "max",
            "dci_disentanglement": "max",
            "dci_completeness": "max",
            "dci_informativeness": "max",
            "factor_vae_score": "max",
            "beta_vae_score": "max",
        },
        ("encode",),
        fields=("factors",),
        draws=True,
    ),
    "codes": Metric(
        "data", "error of the classes or codes read", {"classification_error": "min"}, ("classify",), ("label",)
    ),
    "neighbours": Metric(
        "data",
        "does the training image with the nearest latents have the same class; only if asked for",
        {"neighbour_accuracy": "max"},
        ("encode",),
        ("label",),
        own_data=True,
        asked=True,
    ),
    "translation": Metric(
        "translation",
        "cycle error, what is still seen of the original, distances to real images (KID, MIND)",
        of_domains(cycle_error="min", content_kept="max", translation_kernel_distance="min", translation_mind="min"),
        ("translate",),
        draws=True,
        extractor=True,
    ),
    "pairs": Metric(
        "translation",
        "errors against true counterparts, beside answers that need no model",
        of_domains(
            translation_error="min",
            paired_error="min",
            changed_error="min",
            translation_psnr="max",
            translation_ssim="max",
            translation_sharpness=None,
            chroma_error="min",
        ),
        ("translate",),
        fields=("a_as_b",),
        draws=True,
        units={"translation_psnr/a": "dB", "translation_psnr/b": "dB"},
    ),
    "label_maps": Metric(
        "translation",
        "classes that a reader finds in photographs (FCN-score), or that label maps show",
        of_domains(label_accuracy="max", label_accuracy_by_class="max"),
        ("translate",),
        fields=("a_as_b",),
        draws=True,
        palette=True,
    ),
    "voices": Metric(
        "translation",
        "speech of one speaker as another's: who is heard, what is said, mel-cepstral distortion",
        of_domains(voice_conversion="max", speech_kept="max", mel_cepstral_distortion="min"),
        ("translate",),
        fields=("a_label", "b_label"),
        draws=True,
        sound=True,
        units={"mel_cepstral_distortion/a": "dB", "mel_cepstral_distortion/b": "dB"},
    ),
    "frechet": of_samples("Frechet distance", {"frechet_distance": "min"}, covariance=True),
    "kernel": of_samples(
        "kernel distance (KID)", {"kernel_distance": "min"}, least_samples=FEWEST_KERNEL, least_real=FEWEST_KERNEL
    ),
    "inception_score": of_samples("Inception Score", {"inception_score": "max"}, classes=True, least_samples=100),
    "manifold": of_samples(
        "precision, recall, density, coverage",
        {"precision": "max", "recall": "max", "density": "max", "coverage": "max"},
        least_samples=6,
        least_real=6,
        of_diversity=("recall", "coverage"),
    ),
    "mmd": of_samples("maximum mean discrepancy, Gaussian kernel", {"mmd": "min"}),
    "sliced_wasserstein": of_samples("sliced Wasserstein distance", {"sliced_wasserstein": "min"}),
    "mind": of_samples("sliced Wasserstein distance with squares (MIND)", {"mind": "min"}),
    "classes": of_samples(
        "classes covered, their entropy, certainty, agreement with labels",
        {"classes_covered": "max", "class_entropy": None, "certainty": "max", "agreement": "max"},
        classes=True,
        of_diversity=("classes_covered", "class_entropy"),
        units={"class_entropy": "nats"},
    ),
    "copies": of_samples(
        "distances to the nearest training images",
        {"copying_gap": None, "closer_than_held_out": None},
        extractor=False,
        least_samples=1,
        least_real=1,
        own_data=True,
        topic="copies",
    ),
    "modes": of_samples(
        "modes of the mixture covered, share of samples of high quality",
        {"modes_covered": "max", "high_quality": "max"},
        extractor=False,
        kinds=("points",),
        modes=True,
        of_diversity=("modes_covered",),
    ),
    "channel_modes": of_samples(
        "combinations of the classes of channels that are images of their own",
        {"combinations_covered": "max", "combination_divergence": "min"},
        extractor=False,
        least_samples=26_000,
        channels=True,
        of_diversity=("combinations_covered", "combination_divergence"),
    ),
    "wasserstein": of_samples("Wasserstein distance of points", {"wasserstein": "min"}, kinds=("points",)),
}
"""By the name that `metrics=` takes."""

_NEITHER = {"kl", "perplexity", "std", "gradient", "discriminator", "critic"}
"""Words in the names of values that neither lower nor higher is better of: a KL of 0 is a collapse, and a discriminator
that loses means a good generator or a bad discriminator."""

COMPARABLE = ("dataset", "split", "data_sha256", "weights", "num_samples", "extractor", "extractor_sha256",
              "importance_samples", "images", "sampling", "condition")  # fmt: skip
"""Protocol entries that must match for two values to be comparable; steps and seeds may differ between runs, and with
the seeds the split of the data."""


FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The functions of the metrics that plugins have added, by name."""


def known(asked: Iterable[str] | None = None) -> dict[str, Metric]:
    """`METRICS`, with those of plugins, which are imported unless all metrics `asked` for are there already.

    Those of a plugin that `add_plugins` refuses are left out; `ValueError` if one that is asked for may be among them.
    """
    if asked is None or not set(asked) <= set(METRICS):
        problems = add_plugins()
        if problems and asked is not None and not set(asked) <= set(METRICS):
            raise ValueError("\n".join(problems))
        if problems and asked is None:
            log.warning("left out: %s", "; ".join(problems))
    return METRICS


def add_plugins() -> list[str]:
    """Add the metrics of plugins to `METRICS`. A line for each plugin that cannot be imported, and for each metric that
    is none, or is named as another is or gives a value that is."""
    problems = []
    for plugin, entries in brought("METRICS"):
        if isinstance(entries, Broken):
            problems.append(str(entries))
            continue
        for name, entry in entries.items():
            if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], Metric)):
                problems.append(f"{plugin}: its metric {name!r} must be a pair of a Metric and its function")
                continue
            metric, function = entry
            values = {value for other in METRICS.values() for value in other.directions}
            if FUNCTIONS.get(name) is function:
                continue
            if name in METRICS or values & set(metric.directions):
                problems.append(f"{plugin}: its metric {name!r} and its values need names of their own; rename it")
            else:
                METRICS[name], FUNCTIONS[name] = metric, function
    return problems


def directions_of(asked: Iterable[str] | None = None) -> dict[str, Direction]:
    """Direction of each value, by name, that the metrics `asked` for may return; None for all metrics."""
    found = known(asked)
    names = found if asked is None else asked
    return {name: direction for metric in names for name, direction in found[metric].directions.items()}


def ranking(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Of the directions `recorded` by full name, as in "validation/elbo", those that rank: "min" or "max".

    The catalogue wins over a record, which may be of an earlier version or of anyone.
    """
    own = {name: direction for metric in METRICS.values() for name, direction in metric.directions.items()}
    found = {}
    for name, direction in recorded.items():
        kind, _, value = str(name).partition("/")
        if value in own and (kind == "evaluation" or own[value] is None):
            direction = own[value]
        if direction in ("min", "max") and not _NEITHER & set(re.split("[/_]", value)):
            found[str(name)] = direction
    return found


def unknown(asked: Iterable[str]) -> Iterator[str]:
    """An error line for each name in `asked` that is not a metric."""
    found = known(asked)
    for name in asked:
        if name not in found:
            yield f"metrics={name}: no such metric; {did_you_mean(name, found)}"
