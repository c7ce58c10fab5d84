"""torch's optimizers without importing its compiler, which takes a second."""

import inspect
from functools import cache

import torch
from torch.optim import Optimizer


@cache
def eager(kind: type[Optimizer]) -> type[Optimizer]:
    """The optimizer class `kind` for eager execution only.

    torch wraps these methods to exclude them from compiled graphs. The first call of a wrapper imports the compiler,
    which takes longer than the rest of a run's startup. The wrapped methods themselves are unchanged.
    """
    unwrapped = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in unwrapped}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # as one of the removed wrappers did
    return type(kind.__name__, (kind,), {**methods, "step": step, "__module__": kind.__module__})
