"""The state of a trainer: everything that the next step depends on, as tensors and builtins."""

from typing import Any


def state_dict(trainer: Any) -> dict:
    """The run state that a checkpoint holds, besides its config."""
    return {
        "step": trainer.step,
        "seed": trainer.train_loader.seed,
        "order": trainer.train_loader.order.state_dict(),
        "lr_scale": trainer.lr_scale,
        "stop_reason": trainer.stop_reason,
        "notified": trainer.events.notified,
        "model": trainer.model.state_dict(),
        **trainer.optimization.state_dict(),
        "ema": trainer.ema.state_dict() if trainer.ema else {},
        "metric_window": trainer.metric_window.state_dict(),
        "callbacks": trainer.events.state_dict(),
    }


def load_state_dict(trainer: Any, state: dict) -> None:
    """Load a `state` that `state_dict` returned."""
    trainer.step, trainer.train_loader.seed, trainer.lr_scale = state["step"], state["seed"], state["lr_scale"]
    trainer.stop_reason, trainer.events.notified = state["stop_reason"], state["notified"]
    trainer.train_loader.order.load_state_dict(state["order"])
    trainer.model.load_state_dict(state["model"])
    trainer.optimization.load_state_dict(state)
    if trainer.ema:
        trainer.ema.load_state_dict(state["ema"])
    trainer.metric_window.load_state_dict(state["metric_window"])
    trainer.events.load_state_dict(state["callbacks"])
