"""Scores by the model of a run: of each example one number, or several, compared with those of training examples."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.config.build import build_source
from genlab.contract.data import Condition
from genlab.data.loading import as_examples
from genlab.data.published import is_ready
from genlab.data.source import Source
from genlab.inference.scoring import METHODS, chosen_method
from genlab.system.seeding import seeded

if TYPE_CHECKING:
    from genlab.inference.run import Run
    from genlab.metrics.outliers import Normal

MOST = 10_000
"""Training examples that others are compared with, evenly spaced."""


class Scorer:
    """Scores examples by the model of a run."""

    def __init__(self, run: "Run"):
        self.run = run
        self._known: dict[tuple, Normal] = {}

    @cached_property
    def training(self) -> Source | None:
        """The data that the run was trained on, if they are at hand and ready to be read."""
        try:
            source = build_source(self.run.config.dataset)
        except ValueError:
            return None
        return source if source.spec.domains == self.run.data.domains and is_ready(source) else None

    def method(self, asked: str | None = None) -> str:
        """`asked`, or by default the first that the model supports; of those that compare with training data, if these
        are at hand. `ValueError` if it is unsupported, or none is."""
        run = self.run
        images, model = run.data[run.data.domains[0]].kind == "image", run.config.choices.model
        return chosen_method(
            asked, model, run.folder, run.can, images, run.model.slow, lambda: self.training is not None
        )

    def scores(
        self,
        x: Tensor,
        method: str,
        seed: int,
        number: int,
        importance_samples: int,
        condition: Condition | None = None,
    ) -> Tensor:
        """Scores float64 [n] of one batch: a function of the examples, the seed and `number`, the batch's index."""
        found = self._measured(x, method, seed, number, importance_samples, condition)
        return self._usual(method, seed, importance_samples).distances(found) if METHODS[method].compared else found

    def _measured(
        self, x: Tensor, method: str, seed: int, number: int, importance_samples: int, condition: Condition | None
    ) -> Tensor:
        """What a method measures of one batch, float64 [n], or [n, S] if it is compared."""
        run = self.run
        given = run.model.given(run.on_device(condition))
        with run.inference(), seeded(seed, number):
            return METHODS[method].score(run.model, x.to(run.device), importance_samples, *given).cpu().double()

    def _usual(self, method: str, seed: int, importance_samples: int) -> "Normal":
        """How what a method measures is distributed over training examples."""
        if (key := (method, seed, importance_samples)) not in self._known:
            from genlab.metrics.outliers import Normal  # scikit-learn takes a second

            assert self.training, "`method` has checked that"
            run, (table, *_) = self.run, self.training.open("train")
            rows = torch.linspace(0, len(table) - 1, min(len(table), MOST), dtype=torch.float64).round().long()
            parts = []
            for number, part in enumerate(tqdm(rows.split(run.rows), "training data", disable=None, leave=False)):
                found = table.rows(part)
                condition = {name: found[name] for name in run.model.conditions} or None
                x = as_examples(found["x"], run.data["x"])
                parts.append(self._measured(x, method, seed, number, importance_samples, condition))
            self._known[key] = Normal.of(torch.cat(parts))
        return self._known[key]
