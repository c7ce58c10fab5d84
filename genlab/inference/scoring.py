"""Out-of-distribution scores, one per example. Higher always means less likely.

Which methods are available depends on a model's capabilities, never on its class. Likelihood is often misleading: a
model of clothes gives digits a higher likelihood than clothes, because digits are simpler (Nalisnick et al.).
Statistics that are compared with those of training examples, never of outliers, are preferred to it. An exact
likelihood is preferred to the reconstruction error: a model that has one reconstructs every image without error.

References:
- Nalisnick et al. 2019, Do Deep Generative Models Know What They Don't Know?, https://arxiv.org/abs/1810.09136
- Nalisnick, Matsukawa, Teh, Lakshminarayanan 2019, Detecting Out-of-Distribution Inputs to Deep Generative Models Using
  Typicality, https://arxiv.org/abs/1906.02994, for `typicality`, here of single examples
- Morningstar et al. 2021, Density of States Estimation for Out-of-Distribution Detection,
  https://arxiv.org/abs/2006.09273, for comparing several statistics with those of training examples
- Serra et al. 2020, Input complexity and out-of-distribution detection with likelihood-based generative models,
  https://arxiv.org/abs/1909.11480, for `complexity`
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genlab.config.options import models_that_can
from genlab.contract.data import Condition
from genlab.contract.model import CAPABILITIES, GenerativeModel
from genlab.media.images import encode, to_uint8
from genlab.metrics.likelihood import likelihood_bounds
from genlab.metrics.reconstruction import mean_squared_error

_DRAWS_AT_ONCE = 4


@dataclass(frozen=True)
class Method:
    """A scoring method. needs: the capability it requires. meaning: what the score is, with its unit.

    score: maps (model, examples x [N, *shape], importance samples, condition if the model has any) to scores [N] or, if
        they are `compared`, to statistics [N, S], whose score is the distance to those of training examples.
    draws: whether it is random. of_images: whether it serves images alone.
    """

    needs: str
    meaning: str
    score: Callable[..., Tensor]
    draws: bool = False
    of_images: bool = False
    compared: bool = False


def _minus(bound: str) -> Callable[..., Tensor]:
    """Minus one of the `likelihood_bounds`."""
    return lambda model, x, samples, *given: (
        -getattr(likelihood_bounds(model, x, samples, _DRAWS_AT_ONCE, *given), bound)
    )


def _complexity_corrected(model: GenerativeModel, x: Tensor, _: int, *given: Condition | None) -> Tensor:
    """How much shorter the PNG file is than the code that the model gives: simple images are likely under any model."""
    sizes = torch.tensor([len(encode(pixels).content) for pixels in to_uint8(x.cpu())], device=x.device)
    return -model.log_prob(x, *given) - 8 * math.log(2) * sizes


METHODS: dict[str, Method] = {
    "path": Method(
        "statistics",
        "distance of several statistics to those of training examples",
        lambda model, x, _, *given: model.statistics(x, *given),
        compared=True,
    ),
    "log-prob": Method("log_prob", "-log p(x) in nats", lambda model, x, _, *given: -model.log_prob(x, *given)),
    "typicality": Method(
        "log_prob",
        "distance of log p(x) to that of training examples, in deviations",
        lambda model, x, _, *given: -model.log_prob(x, *given)[:, None],
        compared=True,
    ),
    "complexity": Method(
        "log_prob",
        "-log p(x) in nats, less the size of x as a PNG file (Serra et al. 2020)",
        _complexity_corrected,
        of_images=True,
    ),
    "reconstruction": Method(
        "reconstruct",
        "mean squared error of the reconstruction",
        lambda model, x, _, *given: mean_squared_error(x, model.reconstruct(x, *given)),
    ),
    "bound": Method(
        "elbo", "-(estimated ELBO) in nats", lambda model, x, _, *given: -model.elbo(x, *given), draws=True
    ),
    "denoising": Method(
        "denoising_error",
        "squared error of the noise that is found",
        lambda model, x, _, *given: model.denoising_error(x, *given),
        draws=True,
    ),
    "importance-weighted": Method(
        "log_weights", "-(importance-weighted bound on log p(x)) in nats", _minus("importance_weighted"), draws=True
    ),
    "elbo": Method("log_weights", "-ELBO in nats", _minus("elbo"), draws=True),
    "discriminator": Method(
        "discriminator_score",
        "-(discriminator's logit)",
        lambda model, x, _, *given: -model.discriminator_score(x, *given),
    ),
}
"""By name; the default is the first that the model supports. How well they find outliers: docs/evaluation.md."""


def chosen_method(
    method: str | None,
    model: str,
    folder: Path,
    can: Callable[[str], bool],
    images: bool,
    slow: tuple[str, ...] = (),
    training: Callable[[], bool] = lambda: True,
) -> str:
    """`method`, or by default the first that the model `can` and that is not `slow`. images: whether its data are
    images. training: whether its training data are at hand. `ValueError` as for `Scorer.method`."""
    able = [name for name, entry in METHODS.items() if can(entry.needs) and (images or not entry.of_images)]
    if not able:
        others = sorted({name for entry in METHODS.values() for name in models_that_can(entry.needs)})
        raise ValueError(f"run={folder}: model {model} has no way to score; models that have one: {', '.join(others)}")
    if method is not None and method not in able:
        reason = f"no such method; model {model}"
        if method in METHODS and can(METHODS[method].needs):
            reason = f"serves images, and the data of this run are none; model {model}"
        elif method in METHODS:
            reason = f"model {model} cannot {CAPABILITIES[METHODS[method].needs]}; it"
        raise ValueError(f"method={method}: {reason} can score by {', '.join(able)}")
    if method is None:
        possible = (name for name in able if METHODS[name].needs not in slow)
        method = next((name for name in possible if not METHODS[name].compared or training()), able[0])
    if METHODS[method].compared and not training():
        rest = [name for name in able if not METHODS[name].compared]
        way_out = f"; without them it can score by {', '.join(rest)}" if rest else ""
        raise ValueError(
            f"method={method}: compares with training data, and those of run={folder} are not found; say where they "
            f"are by dataset.path=PLACE or data_dir=PLACE{way_out}"
        )
    return method
