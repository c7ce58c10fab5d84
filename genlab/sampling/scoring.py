"""A number for every picture: how unlikely it is in the eyes of a trained run. Higher is less likely, always.

What is measured depends on what the model can do, never on which model it is. Likelihood sounds like the right measure
and often is not: a model of clothes finds digits likelier than clothes, because they are simpler (Nalisnick et al.).
The squared error of the reconstruction does not fall for that and stands before the bounds in `METHODS`. An exact
likelihood stands before it: a model that has one takes every picture apart and puts it together again without error.

Reference: Nalisnick et al. 2019, Do Deep Generative Models Know What They Don't Know?,
https://arxiv.org/abs/1810.09136
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.evaluation.likelihood import likelihood_bounds
from genlab.evaluation.reconstruction import mean_squared_error
from genlab.models.base import CAPABILITIES
from genlab.seeding import seeded

if TYPE_CHECKING:
    from genlab.models.base import GenerativeModel
    from genlab.sampling.inputs import Pictures
    from genlab.sampling.load import Run

_DRAWS_AT_ONCE = 4


@dataclass(frozen=True)
class Method:
    """A way to score. needs: the capability that it asks for; meaning: of the score, with its unit.

    score: (model, pictures x [N, C, H, W] in [0, 1], importance samples) to scores [N]. draws: it uses chance.
    """

    needs: str
    meaning: str
    score: Callable[["GenerativeModel", Tensor, int], Tensor]
    draws: bool = False


def _reconstruction(model: "GenerativeModel", x: Tensor, num_samples: int) -> Tensor:
    return mean_squared_error(x, model.reconstruct(x))


def _importance_weighted(model: "GenerativeModel", x: Tensor, num_samples: int) -> Tensor:
    return -likelihood_bounds(model, x, num_samples, _DRAWS_AT_ONCE).importance_weighted


def _elbo(model: "GenerativeModel", x: Tensor, num_samples: int) -> Tensor:
    return -likelihood_bounds(model, x, num_samples, _DRAWS_AT_ONCE).elbo


METHODS: dict[str, Method] = {
    "log-prob": Method("log_prob", "-log p(x) in nats", lambda model, x, _: -model.log_prob(x)),
    "reconstruction": Method("reconstruct", "mean squared error of the reconstruction", _reconstruction),
    "importance-weighted": Method(
        "log_weights", "-(importance-weighted bound on log p(x)) in nats", _importance_weighted, draws=True
    ),
    "elbo": Method("log_weights", "-ELBO in nats", _elbo, draws=True),
    "discriminator": Method("realness", "-(discriminator's logit)", lambda model, x, _: -model.realness(x)),
}
"""By name, the default being the first that the model can. With `vae` on MNIST against Fashion-MNIST, and one the other
way round (10,000 pictures each, 8 draws), the AUROC is 0.995 and 0.991 by reconstruction, 1.000 and 0.415 by the ELBO,
1.000 and 0.392 by the importance-weighted bound. All of them take an empty picture for the most ordinary of all."""


def choose_method(run: "Run", method: str | None = None) -> str:
    """`method`, or the first of `METHODS` that the run's model can do. `ValueError` where it cannot do it, or none."""
    able = [name for name, way in METHODS.items() if run.can(way.needs)]
    model = run.config.choices.model
    if not able:
        from genlab.sampling.load import models_that_can

        others = sorted({name for way in METHODS.values() for name in models_that_can(way.needs)})
        raise ValueError(
            f"run={run.folder}: model {model} has no way to score pictures; models that have one: {', '.join(others)}"
        )
    if method is None:
        return able[0]
    if method not in METHODS:
        raise ValueError(f"method={method}: no such method; model {model} can score by {', '.join(able)}")
    if method not in able:
        raise ValueError(
            f"method={method}: model {model} cannot {CAPABILITIES[METHODS[method].needs]}; "
            f"it can score by {', '.join(able)}"
        )
    return method


def score_portion(
    run: "Run", x: Tensor, method: str, seed: int = 0, number: int = 0, importance_samples: int = 64
) -> Tensor:
    """Scores float64 [n] on the CPU of pictures x [n, C, H, W] in [0, 1]: a function of x, the seed and the number.

    number: of the portion among others; method: one that `choose_method` gives.
    """
    with run.inference(), seeded(seed, number):
        return METHODS[method].score(run.model, x.to(run.device), importance_samples).cpu().double()


@dataclass
class Scored:
    """Scores of many pictures, in their order, and the least likely of them: all that is kept.

    names; scores float64 [N]; labels int64 [N] where all have one; least_likely: positions [n] of the highest scores,
    the highest first, and shown: these pictures [n, C, H, W]; skipped: damaged files that were left out.
    title, origin: those of the pictures.
    """

    title: str
    origin: dict
    names: list[str]
    scores: Tensor
    labels: Tensor | None
    least_likely: Tensor
    shown: Tensor
    skipped: list[str]


def score_pictures(
    run: "Run", pictures: "Pictures", method: str, seed: int = 0, importance_samples: int = 64, shown: int = 64
) -> Scored:
    """Score pictures portion by portion, with a progress bar where a person watches."""
    names, labels, scores = [], [], []
    highest, highest_at, images = torch.empty(0).double(), torch.empty(0).long(), torch.empty(0, *run.data.shape)
    with tqdm(total=pictures.size, desc=f"scoring {pictures.title}", disable=None, leave=False) as bar:
        for number, portion in enumerate(pictures.portions()):
            x = portion.image
            part = score_portion(run, x, method, seed, number, importance_samples)
            at = torch.arange(len(names), len(names) + len(x))
            names += portion.names
            labels.append(portion.label)
            scores.append(part)
            highest, highest_at, images = (torch.cat(pair) for pair in ((highest, part), (highest_at, at), (images, x)))
            order = highest.argsort(descending=True, stable=True)[:shown]
            highest, highest_at, images = highest[order], highest_at[order], images[order]
            bar.update(len(x))
    labelled = all(label is not None for label in labels)
    labels = torch.cat(labels) if labelled else None
    return Scored(
        pictures.title, pictures.origin, names, torch.cat(scores), labels, highest_at, images, list(pictures.skipped)
    )
