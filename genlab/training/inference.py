"""Inference with a trainer's model; validation and previews."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from genlab.contract.data import Batch
from genlab.contract.model import Grid
from genlab.media.kind import Scene
from genlab.media.kinds import shown_kind
from genlab.system import distributed
from genlab.system.portions import rows_at_once
from genlab.system.seeding import mix, seed_device, seeded
from genlab.training.trainer import Trainer

_DRAWN = 10_000
"""Validation examples against which samples are shown."""


@contextmanager
def inference(trainer: Trainer, interruptible: bool = False, rehearsing: bool = False) -> Iterator[None]:
    """Averaged weights, evaluation mode, no gradients, repeatable noise, networks computed in portions.

    interruptible: a signal ends the block at once, and a resumed run repeats it. Ignored with several processes, which
    would wait for each other. The weights are swapped outside the interruptible part, so a signal cannot break that.
    rehearsing: see `Portions.applied`.

    Networks that training runs as CUDA graphs are called uncompiled: a graph holds for one shape and one address of the
    weights, which change here.
    """
    trainer.model.eval()
    try:
        with (
            torch.no_grad(),
            trainer.optimization.autocast,
            trainer.ema.applied() if trainer.ema else nullcontext(),
            trainer.optimization.portions.applied(rehearsing),
            torch.compiler.set_stance("force_eager") if trainer.optimization.records_graphs else nullcontext(),
        ):
            seed_device(trainer.train_loader.device, mix(trainer.seed))
            breaks = interruptible and distributed.world() == 1
            with trainer.interruption.interruptible() if breaks else nullcontext():
                yield
    finally:
        trainer.model.train()


def validate(trainer: Trainer) -> dict[str, float]:
    """Mean of each validation metric over the validation split, with averaged weights. A metric that some batches leave
    out is averaged over the others.

    The batches are divided among the processes; the result is the same as with one process.
    """

    totals: dict[str, float] = {}
    sizes: dict[str, int] = {}
    loader = trainer.validation_loader
    own = (_measure(trainer, batch) for batch in loader.in_order(shared=True))
    with inference(trainer, interruptible=True):
        for size, metrics in distributed.gather_in_order(own):
            for name, value in metrics.items():
                totals[name] = totals.get(name, 0.0) + value * (size / loader.size)
                sizes[name] = sizes.get(name, 0) + size
    return {name: total * (loader.size / sizes[name]) for name, total in totals.items()}


def rehearse(trainer: Trainer) -> list[str]:
    """Names of the validation metrics, from one batch of the largest size, of which each network computes one portion.

    Nothing is kept, and no random state is touched. `RuntimeError` if a validation fails, which would otherwise end the
    run after many steps.
    """
    try:
        (batch,) = trainer.validation_loader.in_order(trainer.validation_loader.rows)
        with seeded(trainer.seed), inference(trainer, rehearsing=True):
            return list(_measure(trainer, batch)[1])
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "  # ours speak for themselves
        reason = kind + " ".join(str(error).split())
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in reason:
            reason += "; give a smaller device.memory_budget, as in device.memory_budget=16MiB, or smaller images"
        raise RuntimeError(f"validation, rehearsed before the first step, fails: {reason}") from error


def _measure(trainer: Trainer, batch: Batch) -> tuple[int, dict[str, float]]:
    """Number of examples, and the metrics of the model by name."""
    return batch.size, {name: float(value) for name, value in trainer.model.evaluate(batch).items()}


def preview(trainer: Trainer) -> dict[str, Grid]:
    """The model's previews for the first validation examples with fixed noise, on the CPU."""
    with inference(trainer, interruptible=True):
        data = trainer.model.data
        shown = rows_at_once(*(data[domain].shape for domain in data.domains), most=shown_kind(data).previewed)
        grids = {name: Grid.of(grid) for name, grid in trainer.model.preview(_first(trainer, shown)).items()}
    return {name: replace(grid, examples=grid.examples.detach().float().cpu()) for name, grid in grids.items()}


def _first(trainer: Trainer, limit: int) -> Batch:
    """The first `limit` validation examples as one batch."""
    first, *others = trainer.validation_loader.in_order(limit)
    if not others:
        return first
    return Batch({name: torch.cat([b[name] for b in (first, *others)]) for name in first.fields}, first.seed)


def scene(trainer: Trainer, log_density: Callable[[Tensor], Tensor] | None) -> Scene:
    """What the model's samples are shown against: validation data, their density, and the current discriminator."""

    def score(x: Tensor) -> Tensor:
        with inference(trainer):
            model = trainer.model
            x = x.to(trainer.train_loader.device)
            return model.discriminator_score(x, *model.given(None)).float().cpu()

    real = _first(trainer, _DRAWN)["x"].float().cpu()
    scored = score if hasattr(trainer.model, "discriminator_score") else None
    return Scene(real, log_density, scored, boundary=getattr(trainer.model, "decision_boundary", 0.0))
