"""Batch normalization over the global batch, so that statistics do not depend on the number of processes.

torch.nn.SyncBatchNorm does the same on GPUs, but rejects CPU tensors.

Reference: Ioffe, Szegedy 2015, Batch Normalization, https://arxiv.org/abs/1502.03167
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from genlab.system.distributed import average, gather_rows, world


def share_statistics(model: nn.Module) -> None:
    """Make the batch norm layers of `model` normalize over all processes, in place; weights and their names stay."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.__class__ = GlobalBatchNorm


class GlobalBatchNorm(_BatchNorm):
    """A batch norm layer for inputs [n, C, ...] that are one process's shard of a batch, with equal n everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return super().forward(x)
        if (count := x.numel() // x.shape[1] * world()) < 2:
            raise ValueError("trainer.batch_size: batch normalization needs two values per channel or more")
        with torch.no_grad():
            mean, variance = _moments(x)
            if self.training and self.track_running_stats:
                self._update_running_statistics(mean, variance, count)
        return _Normalize.apply(x, mean, variance, self.weight, self.bias, self.eps)

    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics with a batch of `count` values per channel."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var.dtype), momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        """No check: this class replaces layers for inputs of different dimensions."""


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [C] over the rows of all processes."""
    dtype = torch.promote_types(x.dtype, torch.float32)  # not in the half precision of autocast
    own = torch.stack(torch.batch_norm_update_stats(x.to(dtype), None, None, 0.0))
    means, variances = gather_rows(own[None].double()).unbind(1)
    return means.mean(0).to(dtype), (variances.mean(0) + means.var(0, correction=0)).to(dtype)


class _Normalize(torch.autograd.Function):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, where mean and variance depend on all processes' x.

    With h = (x - mean) / sqrt(variance + eps) and averages < > over the global batch:
    dx = weight / sqrt(variance + eps) * (dy - <dy> - h <dy h>). The term without averages is the gradient for fixed
    statistics, for which torch has fast kernels.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, mean, variance, weight)
        ctx.eps = eps
        return batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        x, mean, variance, weight = ctx.saved_tensors
        fixed = (weight, mean, variance, None, None, False, ctx.eps, [True, True, True])
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(gradient, x, *fixed)
        sums = torch.cat([dweight, dbias]).double()
        average([sums])
        scale = (variance + ctx.eps).rsqrt() * (1 if weight is None else weight) / (x.numel() // x.shape[1])
        slope, offset = (scale * part.to(scale.dtype) for part in sums.chunk(2))
        dx = dx - batch_norm(x, mean, variance, slope, offset, eps=ctx.eps)
        return dx, None, None, *((None, None) if weight is None else (dweight, dbias)), None
