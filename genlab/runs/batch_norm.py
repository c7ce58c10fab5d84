"""Whether batch normalization can be trained: it needs two values per channel or more in every forward pass."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel
from genlab.contract.settings import RunConfig


class _Shapes(Batch):
    """A batch of shapes alone, on the meta device."""

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...], **options: Any) -> Tensor:
        return sampler((self.total, *shape), device=self.device, **options)


def batch_norm_problem(config: RunConfig, model: GenerativeModel, data: DataSpec) -> str | None:
    """Why the batch norm layers of a `model` on the meta device cannot be trained with the rows that they would get at
    once; None if they can, or if a step cannot be rehearsed without data."""
    batch, micro_batch = config.trainer.batch_size, config.device.micro_batch or config.trainer.batch_size
    processes = int(os.environ.get("WORLD_SIZE", config.device.processes))  # they share their statistics
    if min(batch, micro_batch) * processes > 1 or not any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        return None
    rows = {
        name: torch.empty(1, *field.shape, device="meta", dtype=torch.int64 if field.size else None)
        for name, field in data.fields.items()
    }
    try:
        with suppress(RuntimeError, TypeError, KeyError):  # of a step that looks at values
            for _ in model.training_step(_Shapes(rows, seed=0), 0):
                pass
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            return None
        key = "trainer.batch_size" if batch == 1 else "device.micro_batch"
        return f"{key}=1: the batch normalization of {type(model).__name__} needs two rows; give 2 or more"
    return None
