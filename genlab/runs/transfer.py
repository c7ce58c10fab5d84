"""Initialise from another run's weights: those that match by name and shape are copied and reported."""

from torch import Tensor, nn


def transfer(model: nn.Module, weights: dict[str, Tensor]) -> str:
    """Copy every entry of `weights` that `model` has with the same shape; returns a summary.

    `ValueError` if nothing matches.
    """
    own = model.state_dict()
    matched = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if not matched:
        raise ValueError("init_from: no weight of that run fits this model by name and shape")
    model.load_state_dict(matched, strict=False)
    missing = sorted(own.keys() - matched.keys())
    unused = sorted(weights.keys() - matched.keys())
    summary = f"init_from: {len(matched)} of {len(own)} weights taken"
    if missing:
        summary += f"; new here: {', '.join(missing)}"
    if unused:
        summary += f"; left out: {', '.join(unused)}"
    return summary
