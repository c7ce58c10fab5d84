"""The few collective operations that training needs, each the identity in a run of one process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch import distributed as dist


def world() -> int:
    """Number of processes that share each batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 writes files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def barrier() -> None:
    """Return once every process has come here."""
    if world() > 1:
        # `dist.barrier` would ask NCCL for a device; a sum on the CPU waits for all just as well.
        dist.all_reduce(torch.zeros(1))


def largest(value: int) -> int:
    """The largest of the processes' values."""
    if world() == 1:
        return value
    found = torch.tensor(value)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


@contextmanager
def first_process_first() -> Iterator[None]:
    """Process 0 runs the block alone, then the others do: they find in a cache what it left there."""
    if rank() != 0:
        barrier()
    yield
    if rank() == 0:
        barrier()


def average(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over the processes: one all-reduce of one flat buffer."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world()
    for tensor, piece in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def gather_rows(rows: Tensor) -> Tensor:
    """The rows [n, ...] of all processes in order of rank, [n * world, ...]; without gradients."""
    if world() == 1:
        return rows
    pieces = [torch.empty_like(rows) for _ in range(world())]
    dist.all_gather(pieces, rows.contiguous())
    return torch.cat(pieces)
