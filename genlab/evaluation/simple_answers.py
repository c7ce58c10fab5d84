"""Answers to a translation that need no model, for a model's own to stand beside."""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.contract.data import Field
from genlab.data.loading import as_examples
from genlab.data.pairs import ANSWERS
from genlab.data.source import Examples
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.features import Pixels, read_table
from genlab.metrics.neighbours import nearest
from genlab.system.portions import rows_at_once

Answer = Callable[[Tensor, Tensor], Tensor]
"""Images x [N, C, H, W] and their rows [N] in the split, to images of the other domain [N, C', H, W]."""


def simple_answers(context: EvaluationContext, domain: str, other: str) -> dict[str, Answer]:
    """Answers that need no model: the image as it is, that of a derived pair (`pairs.ANSWERS`), the mean image of the
    other domain, and the counterpart of the training image that is nearest in pixels."""
    spec = context.source.spec
    source, target = spec[domain], spec[other]
    answers: dict[str, Answer] = {}
    if source.shape[1:] == target.shape[1:]:
        answers["untranslated"] = lambda x, rows: _with_channels(x, target.shape[0])
    pair = getattr(context.whole, "pair", "")
    if domain == "a" and pair in ANSWERS:
        name, answer = ANSWERS[pair]
        answers[name] = lambda x, rows: answer(x)
    tables = context.whole.open("train")
    mean = _mean_image(tables[-1 if other == "b" else 0], target, other)
    answers["mean image"] = lambda x, rows: mean.expand(len(x), -1, -1, -1)
    if spec.paired:
        pixels, shown = Pixels(), context.progress
        held_out = read_table(context.source.open(context.split)[0], pixels, source, name=domain, shown=shown)
        queries = torch.cat([part.features for part in held_out])
        training = read_table(tables[0], pixels, source, name=domain, chunk=2_000, shown=shown)
        neighbours = nearest(queries, (part.features for part in training)).rows[:, 0]
        answers["nearest neighbour"] = lambda x, rows: as_examples(tables[0].rows(neighbours[rows])[other], target)
    return answers


def _with_channels(x: Tensor, channels: int) -> Tensor:
    """Images [N, C, H, W] as grey or colour ones."""
    return x if x.shape[1] == channels else x.mean(1, keepdim=True).expand(-1, channels, -1, -1)


def _mean_image(table: Examples, field: Field, name: str) -> Tensor:
    """[C, H, W] over all rows of a table."""
    parts = torch.arange(len(table)).split(rows_at_once(field.shape, most=500))
    sums = [as_examples(table.rows(rows)[name], field).sum(0) for rows in parts]
    return torch.stack(sums).sum(0) / len(table)
