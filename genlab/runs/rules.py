"""Rules of `genlab.contract.model` that a model can break without an error: what would be ignored without a word."""

import inspect
from collections.abc import Iterator

from genlab.contract.model import CAPABILITIES, GenerativeModel


def broken_rules(model: GenerativeModel) -> Iterator[str]:
    """A line for each of them that `model` breaks, with what to write instead."""
    name = type(model).__name__
    yield from (f"{name}.{line}" for line in (*_signatures(model), *_declarations(model)))
    owned = [id(p) for module in model.players().values() for p in module.parameters() if p.requires_grad]
    weights = {id(p): key for key, p in model.named_parameters() if p.requires_grad}
    if idle := [key for identity, key in weights.items() if identity not in owned]:
        yield f"{name}.players: {idle[0]} belongs to none; give it to a player, or set requires_grad=False"
    if shared := [key for identity, key in weights.items() if owned.count(identity) > 1]:
        yield f"{name}.players: {shared[0]} belongs to several; leave it to one"


def _signatures(model: GenerativeModel) -> Iterator[str]:
    for capability in CAPABILITIES:
        if (method := getattr(model, capability, None)) is None:
            continue
        parameters = inspect.signature(method).parameters
        if model.conditions and capability not in ("prior", "translate") and "condition" not in parameters:
            yield f"{capability}: the model has conditions; it needs a parameter condition=None"
        if capability == "sample":
            by_position = [p.name for p in parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
            for option in [key for key in by_position[1:] if key != "condition"]:
                yield f"sample: {option} is no option, as it is not keyword-only; write *, {option}"


def _declarations(model: GenerativeModel) -> Iterator[str]:
    for metric, direction in model.metrics.items():
        if direction not in ("min", "max"):
            yield f"metrics: {metric}: {direction}: must be min or max"
    children = dict(model.named_children())
    for child in model.averaged:
        if child not in children:
            yield f"averaged: {child}: no such module; there are {', '.join(children)}"
