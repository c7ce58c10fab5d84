"""What a run's samples are shown against."""

from dataclasses import replace

import torch
from torch import Tensor

from genlab.config.build import build_source
from genlab.data.loading import as_examples
from genlab.data.published import is_ready
from genlab.inference.run import Run
from genlab.media.kind import Scene
from genlab.media.kinds import shown_kind

_REAL = 10_000  # examples of the data that are drawn


def scene_of(run: Run, shown: str = "generated") -> Scene | None:
    """The run's data, if at hand, and its discriminator; None for kinds that are shown by themselves.

    shown: what the examples are that are shown.
    """
    if not shown_kind(run.data).has_scene:
        return None

    def score(x: Tensor) -> Tensor:
        with run.inference():
            return run.model.discriminator_score(x.to(run.device), *run.model.given(None)).float().cpu()

    known = Scene(
        score=score if run.can("discriminator_score") else None,
        shown=shown,
        boundary=getattr(run.model, "decision_boundary", 0.0),
    )
    try:
        source = build_source(run.config.dataset)
    except ValueError:  # a run can be used without its data
        return known
    if not is_ready(source):
        return known
    table = source.open("validation")[0]
    stored = table.rows(torch.arange(min(_REAL, len(table))))["x"]
    return replace(known, real=as_examples(stored, run.data["x"]), log_density=source.log_density)
