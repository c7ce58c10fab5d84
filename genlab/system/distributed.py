"""The few collective operations that a run of several processes needs, each the identity in a run of one.

Tensors on a GPU travel by NCCL, all others by gloo, among them objects and single numbers.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

T = TypeVar("T")

_PATIENCE_MICROSECONDS, _MOST_STEPS = 50_000, 100
"""Time, and steps, that may pass between two all-reduces. Each costs a tenth of a small step."""


class PeerLost(RuntimeError):
    """Another process of this run is gone, and the others cannot continue without it."""


def world() -> int:
    """Number of processes that share each batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 writes files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@contextmanager
def _together() -> Iterator[None]:
    """A collective operation: it fails where one of the processes is gone."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost("another process of this run is gone") from error


def barrier() -> None:
    """Return once every process has come here."""
    largest(0)  # `dist.barrier` would ask NCCL for a device; a number on the CPU waits for all just as well


def largest(value: int) -> int:
    """The largest of the processes' values."""
    flag = StopFlag()
    return max(flag(value), flag.settle())


class StopFlag:
    """Asynchronous all-reduce (MAX) of one integer, by which processes agree on a stop signal.

    It overlaps with computation, so a call returns the result of the previous one, and is issued every 50 ms at most;
    all processes derive the interval from the reduced value. With one process it returns its argument.
    """

    def __init__(self):
        self._numbers: Tensor | None = None  # the integer, and microseconds of a step
        self._work: dist.Work | None = None
        self._interval, self._passed, self._asked = 1, 0, time.monotonic()

    def __call__(self, number: int) -> int:
        if world() == 1:
            return number
        self._passed += 1
        if self._passed < self._interval:
            return 0
        found = self.settle()
        now = time.monotonic()
        self._numbers = torch.tensor([number, round(1e6 * (now - self._asked) / self._passed)])
        self._asked, self._passed = now, 0
        with _together():
            self._work = dist.all_reduce(self._numbers, dist.ReduceOp.MAX, async_op=True)
        return found

    def settle(self) -> int:
        """The result of the last all-reduce, 0 if there was none."""
        if self._work is None or self._numbers is None:
            return 0
        with _together():
            self._work.wait()
        self._work = None
        number, microseconds = self._numbers.tolist()
        self._interval = min(max(1, _PATIENCE_MICROSECONDS // max(1, microseconds)), _MOST_STEPS)
        return number


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
    with _together():
        dist.all_reduce(flat)
    flat /= world()
    for tensor, piece in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def gather_rows(rows: Tensor) -> Tensor:
    """The rows [n, ...] of all processes in order of rank, [n * world, ...]; without gradients."""
    if world() == 1:
        return rows
    pieces = [torch.empty_like(rows) for _ in range(world())]
    with _together():
        dist.all_gather(pieces, rows.contiguous())
    return torch.cat(pieces)


def from_first(value: T) -> T:
    """What process 0 has: plain values and tensors on the CPU."""
    if world() == 1:
        return value
    box: list[Any] = [value]
    with _together():
        dist.broadcast_object_list(box)
    return box[0]


def shard(pieces: Iterable[T]) -> Iterator[T]:
    """This process's share of `pieces`: every world-th one."""
    return islice(pieces, rank(), None, world())


def gather_in_order(own: Iterable[T]) -> Iterator[T]:
    """The results for all pieces, in their order and in every process, from the results of each for its `shard`.

    Plain values and tensors on the CPU, not None. Memory holds one piece of each process at a time.
    """
    if world() == 1:
        yield from own
        return
    own = iter(own)
    while True:
        found: list[Any] = [None] * world()
        piece = next(own, None)
        with _together():
            dist.all_gather_object(found, piece)
        yield from (piece for piece in found if piece is not None)
        if found[-1] is None:  # the last one is the first to run out of pieces
            return
