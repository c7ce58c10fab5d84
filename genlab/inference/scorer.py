"""Scores by the model of a run: of each example one number, or several, compared with those of training examples."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.config.build import build_source
from genlab.contract.data import Condition, DataSpec
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import RunConfig
from genlab.data.loading import as_examples
from genlab.data.published import is_ready
from genlab.data.source import Source
from genlab.inference.scoring import METHODS, chosen_method
from genlab.metrics.normal import Normal
from genlab.system.seeding import seeded

log = logging.getLogger("genlab")

MOST = 10_000
"""Training examples that others are compared with, evenly spaced."""


class Ready(Protocol):
    """A `Run`."""

    folder: Path
    config: RunConfig
    data: DataSpec
    model: GenerativeModel
    device: torch.device

    @property
    def rows(self) -> int: ...
    def can(self, *names: str) -> bool: ...
    def inference(self) -> AbstractContextManager[None]: ...
    def on_device(self, condition: Condition | None) -> Condition | None: ...


class Scorer:
    """Scores examples by the model of a run.

    find_training: the data that it was trained on, None if they are not at hand; by default where the run recorded
        them. It is called only for methods that compare with them.
    """

    def __init__(self, run: Ready):
        self.run = run
        self.find_training: Callable[[], Source | None] = self._recorded
        self._known: dict[tuple[str, int], Normal] = {}

    def method(self, asked: str | None = None) -> str:
        """`asked`, or by default the first that the model supports; of those that compare with training data, if these
        are at hand. `ValueError` if it is unsupported, or none is."""
        run = self.run
        images, model = run.data[run.data.domains[0]].kind == "image", run.config.choices.model
        at_hand = lambda: self._training is not None  # noqa: E731
        chosen = chosen_method(asked, model, run.folder, run.can, images, run.model.slow, at_hand)
        if asked is None and vars(self).get("_training", self) is None:
            log.warning("scores by %s: the training data, which a better method compares with, are not found", chosen)
        return chosen

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
        return self._usual(method, seed).distances(found) if METHODS[method].compared else found

    def _measured(
        self, x: Tensor, method: str, seed: int, number: int, importance_samples: int, condition: Condition | None
    ) -> Tensor:
        """What a method measures of one batch, float64 [n], or [n, S] if it is compared."""
        run = self.run
        given = run.model.given(run.on_device(condition))
        with run.inference(), seeded(seed, number):
            return METHODS[method].score(run.model, x.to(run.device), importance_samples, *given).cpu().double()

    def _usual(self, method: str, seed: int) -> Normal:
        """How what a method measures is distributed over training examples."""
        if (key := (method, seed)) not in self._known:
            assert self._training, "`method` has checked that"
            run, (table, *_) = self.run, self._training.open("train")
            rows = torch.linspace(0, len(table) - 1, min(len(table), MOST), dtype=torch.float64).round().long()
            parts = []
            for number, part in enumerate(tqdm(rows.split(run.rows), "training data", disable=None, leave=False)):
                stored, wanted = table.rows(part), ("x", *run.model.conditions)
                found = {name: as_examples(stored[name], run.data[name]) for name in wanted}
                parts.append(self._measured(found.pop("x"), method, seed, number, 1, found or None))
            try:
                self._known[key] = Normal.of(torch.cat(parts))
            except ValueError as error:
                raise ValueError(f"method={method}: {error}; choose another method") from error
        return self._known[key]

    @cached_property
    def _training(self) -> Source | None:
        source = self.find_training()
        fields = [] if source is None else [source.spec.fields.get(name) for name in self.run.data.domains]
        wanted = [self.run.data[name] for name in self.run.data.domains]
        fit = [(field.kind, field.shape, field.spectrogram) if field else None for field in fields]
        return source if fit == [(field.kind, field.shape, field.spectrogram) for field in wanted] else None

    def _recorded(self) -> Source | None:
        try:
            source = build_source(self.run.config.dataset)
        except (OSError, ValueError):
            return None
        return source if is_ready(source) else None
