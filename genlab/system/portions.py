"""Memory goes by bytes: how many rows are held at once, and networks that compute a large batch in portions.

A batch for measuring holds as many examples as fit into `BATCH_BYTES`, whatever the machine, so that noise and
statistics of a batch are the same everywhere. What a network needs for it follows `device.memory_budget`: its bytes per
row are counted on two rows, and it computes as many rows at once as the budget allows. So the budget changes no result,
except for rounding.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

BATCH_BYTES = 16 * 2**20
"""Bytes of the examples of a batch, in float32."""

MOST_ROWS = 256
"""Examples in a batch, however small they are."""

_MUCH = 1 / 16
"""Relative difference between the outputs for a row alone and beside another one that rounding does not explain."""


def rows_at_once(*shapes: tuple[int, ...], most: int = MOST_ROWS, copies: int = 1) -> int:
    """How many rows of the largest of `shapes` are held at once. copies: how often the work on them holds each row."""
    return max(1, min(most, BATCH_BYTES // (4 * copies * max(map(prod, shapes)))))


def over_rows(function: Callable[..., Tensor], *tensors: Tensor, copies: int) -> Tensor:
    """`function` of rows [N, ...] that gives one result for each, computed on as many rows at once as `copies` says."""
    rows = rows_at_once(tensors[0].shape[1:], most=max(1, len(tensors[0])), copies=copies)
    return torch.cat([function(*parts) for parts in zip(*(tensor.split(rows) for tensor in tensors), strict=True)])


def networks(module: nn.Module) -> Iterator[nn.Module]:
    """Child modules that are called as a whole, including those in containers."""
    for child in module.children():
        if isinstance(child, (nn.ModuleDict, nn.ModuleList)):
            yield from networks(child)
        else:
            yield child


class Portions:
    """Computes the networks of a model, in evaluation mode and without gradients, in portions of `budget` bytes."""

    def __init__(self, model: nn.Module, budget: int):
        self.networks = [_InPortions(network, budget) for network in networks(model)]

    @contextmanager
    def applied(self, rehearsing: bool = False) -> Iterator[None]:
        """Inside the block, calls of the networks are computed in portions.

        rehearsing: compute the first portion alone and repeat its output: shapes and memory are those of the whole.
        """
        calls = [(network, network.network._compiled_call_impl) for network in self.networks]
        try:
            for network, before in calls:
                network.rehearsing = rehearsing
                if not isinstance(before, _InPortions):  # not inside another such block
                    network.compiled, network.network._compiled_call_impl = before, network
            yield
        finally:
            for network, before in calls:
                network.network._compiled_call_impl = before


class _InPortions:
    """Stands where `nn.Module.compile` puts a compiled call, which `network(...)` looks up: hooks and state stay."""

    def __init__(self, network: nn.Module, budget: int):
        self.network, self.budget = network, budget
        self.compiled: Callable[..., Any] | None = None
        self.rehearsing = False
        self.sizes: dict[Any, int] = {}  # rows of a portion, by shapes and types of a row

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        call: Callable[..., Any] = self.compiled or self.network._call_impl
        tensors = [value for value in (*arguments, *named.values()) if isinstance(value, Tensor) and value.ndim]
        rows = len(tensors[0]) if tensors else 0
        if rows <= 1 or self.network.training or torch.is_grad_enabled():
            return call(*arguments, **named)

        def part(of: Callable[..., Any], start: int, end: int) -> Any:
            def cut(value: Any) -> Any:
                return value[start:end] if any(value is one for one in tensors) and len(value) == rows else value

            return of(*map(cut, arguments), **{name: cut(value) for name, value in named.items()})

        signature = (
            *((value.shape[1:], value.dtype) for value in tensors),
            torch.is_autocast_enabled(tensors[0].device.type),
        )
        if signature not in self.sizes:
            with torch.random.fork_rng([tensors[0].device] if tensors[0].is_cuda else []):
                self.sizes[signature] = self._size(lambda *place: part(self.network._call_impl, *place), rows)
        size = self.sizes[signature]
        if size >= rows:
            return call(*arguments, **named)
        if self.rehearsing:
            return part(call, 0, size)[torch.arange(rows, device=tensors[0].device) % size]
        return torch.cat([part(call, start, min(start + size, rows)) for start in range(0, rows, size)])

    def _size(self, part: Callable[[int, int], Any], rows: int) -> int:
        """Rows of a portion; no limit where rows depend on each other, or the output is no tensor of as many rows."""
        try:
            with _AliveBytes() as one:
                alone = part(rows - 1, rows)
            with _AliveBytes() as two:
                pair = part(rows - 2, rows)
        except Exception:  # so few rows may be too few; what is wrong with all will show when they are computed
            return _ALL
        if not isinstance(pair, Tensor) or not pair.numel() or pair.shape != (2, *alone.shape[1:]):
            return _ALL
        if (pair[1:].float() - alone.float()).abs().max() > _MUCH * alone.float().abs().max():
            return _ALL
        per_row = max(1, two.peak - one.peak)
        return max(1, (self.budget - (one.peak - per_row)) // per_row)


_ALL = 2**62


class _AliveBytes(TorchDispatchMode):
    """Counts bytes of the tensors made inside the block, as long as they are alive. peak: the most at any time."""

    def __init__(self):
        super().__init__()
        self.alive = self.peak = 0
        self.known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Without this the mode imports the compiler, which takes a second. No compiled code is called inside it."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        given = {value.untyped_storage().data_ptr() for value in _tensors((*arguments, *(named or {}).values()))}
        result = function(*arguments, **(named or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if (place := storage.data_ptr()) not in given | self.known:
                self.known.add(place)
                self.alive += storage.nbytes()
                self.peak = max(self.peak, self.alive)
                weakref.finalize(storage, self._freed, place, storage.nbytes())
        return result

    def _freed(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.alive -= size


def _tensors(values: Any) -> Iterable[Tensor]:
    """All tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)
