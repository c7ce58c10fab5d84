"""torch's optimizers, without the second that importing its compiler takes."""

import inspect
from functools import cache

import torch
from torch.optim import Optimizer


@cache
def eager(kind: type[Optimizer]) -> type[Optimizer]:
    """The optimizer class `kind` for steps that nobody compiles.

    torch wraps these methods so that a compiled caller lets them be, and the wrappers import torch's compiler when
    first called, which takes longer than all else that a run begins with. Inside of them the methods are the same.
    """
    unwrapped = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in unwrapped}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # one of the wrappers had switched gradients off
    return type(kind.__name__, (kind,), {**methods, "step": step, "__module__": kind.__module__})
