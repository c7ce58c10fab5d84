"""The collective operations that multi-process runs need; with one process each is the identity.

GPU tensors use NCCL; everything else, including objects and single numbers, uses gloo.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

T = TypeVar("T")

_INTERVAL_MICROSECONDS, _MOST_STEPS = 50_000, 100
"""Interval between two all-reduces, and its upper limit in steps. An all-reduce takes a tenth of a small step."""


class PeerLost(RuntimeError):
    """Another process of this run has died, and the others cannot continue without it."""


def world() -> int:
    """Number of processes that share each batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's rank; rank 0 writes files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@contextmanager
def _collective() -> Iterator[None]:
    """Wraps a collective operation: `PeerLost` if another process has died."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost("another process of this run is gone") from error


def barrier() -> None:
    """Return once every process has reached this point."""
    largest(0)  # `dist.barrier` would need a device for NCCL; an all-reduce on the CPU does not


def largest(value: int) -> int:
    """The largest of the processes' values."""
    flag = StopFlag()
    return max(flag(value), flag.settle())


class StopFlag:
    """Asynchronous all-reduce (MAX) of one integer, by which processes agree on a stop signal.

    It overlaps with computation: a call returns the previous result. One is issued every 50 ms at most; all processes
    derive the interval from the reduced value. With one process a call returns its argument.
    """

    def __init__(self):
        self._numbers: Tensor | None = None  # the integer, and microseconds per step
        self._work: dist.Work | None = None
        self._interval, self._passed, self._issued = 1, 0, time.monotonic()

    def __call__(self, number: int) -> int:
        if world() == 1:
            return number
        self._passed += 1
        if self._passed < self._interval:
            return 0
        found = self.settle()
        now = time.monotonic()
        self._numbers = torch.tensor([number, round(1e6 * (now - self._issued) / self._passed)])
        self._issued, self._passed = now, 0
        with _collective():
            self._work = dist.all_reduce(self._numbers, dist.ReduceOp.MAX, async_op=True)
        return found

    def settle(self) -> int:
        """The result of the last all-reduce, 0 if there was none."""
        if self._work is None or self._numbers is None:
            return 0
        with _collective():
            self._work.wait()
        self._work = None
        number, microseconds = self._numbers.tolist()
        self._interval = min(max(1, _INTERVAL_MICROSECONDS // max(1, microseconds)), _MOST_STEPS)
        return number


@contextmanager
def first_process_first() -> Iterator[None]:
    """Process 0 runs the block first, then the others do, which find its results in the cache."""
    if rank() != 0:
        barrier()
    try:
        yield
    finally:
        if rank() == 0:
            barrier()


def average(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, by one all-reduce of a flat buffer."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _collective():
        dist.all_reduce(flat)
    flat /= world()
    for tensor, piece in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def gather_rows(rows: Tensor) -> Tensor:
    """Gather rows [n, ...] of all processes to [n * world, ...], in order of rank; without gradients."""
    if world() == 1:
        return rows
    pieces = [torch.empty_like(rows) for _ in range(world())]
    with _collective():
        dist.all_gather(pieces, rows.contiguous())
    return torch.cat(pieces)


def from_first(value: T) -> T:
    """Broadcast `value` of process 0: plain values and CPU tensors."""
    if world() == 1:
        return value
    box: list[Any] = [value]
    with _collective():
        dist.broadcast_object_list(box)
    return box[0]


def shard(pieces: Iterable[T]) -> Iterator[T]:
    """This process's shard of `pieces`: every world-th one."""
    return islice(pieces, rank(), None, world())


class _Failure(NamedTuple):
    reason: str


def gather_in_order(own: Iterable[T]) -> Iterator[T]:
    """Gather the results that each process has for its `shard`; every process gets all of them, in order.

    Results are plain values and CPU tensors, not None. Memory holds one per process at a time. What fails in one
    process is raised in all of them at the same result, so that they stay in step.
    """
    if world() == 1:
        yield from own
        return
    failed: list[Exception] = []

    def attempted() -> Iterator[Any]:
        try:
            yield from own
        except Exception as error:
            failed.append(error)
            yield _Failure(str(error) or type(error).__name__)

    pieces = attempted()
    while True:
        found: list[Any] = [None] * world()
        piece = next(pieces, None)
        with _collective():
            dist.all_gather_object(found, piece)
        for piece in found:
            if isinstance(piece, _Failure):
                raise failed[0] if failed else RuntimeError(piece.reason)
            if piece is not None:
                yield piece
        if found[-1] is None:  # the last rank is the first to run out of pieces
            return
