"""Rollback: training continues from an earlier checkpoint, with different noise and lower learning rates."""

import logging

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.system import distributed
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")

_SEED_OFFSET = 1_000_003
"""Added to the seed at every rollback; large, so as not to collide with the seeds of other runs in a sweep."""


def load_rollback_state(folder: RunFolder) -> dict | None:
    """The state of the best checkpoint, else of the last one, None if neither can be read. All processes get the
    same one: none continues, and may write, before all have read."""
    state = None
    for path in (folder.best, folder.last):
        if state is None and path.exists():
            try:
                state = checkpoint.load(path)
            except ValueError as error:
                log.warning("%s; it is skipped", error)
    distributed.barrier()
    return state


def roll_back(trainer: Trainer, state: dict, lr_factor: float, own_state: dict[str, dict]) -> str:
    """Make `trainer` continue from `state` like a resumed run, except for noise and learning rates; returns a summary.

    own_state: states that replace those of callbacks, by their keys.
    """
    seed, lr_scale = trainer.train_loader.seed + _SEED_OFFSET, trainer.lr_scale * lr_factor
    callbacks = state["callbacks"] | own_state
    trainer.rollback_state = state | {"seed": seed, "lr_scale": lr_scale, "callbacks": callbacks}
    return f"to step {state['step']}, seed {seed}, learning rates times {lr_scale:.4g}"
