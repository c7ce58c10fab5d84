"""Where a loader keeps a table: on the device, read from disk on demand, or streamed by worker processes."""

import signal
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genlab.data.source import Examples, StoredExamples
from genlab.system.signals import SIGNALS, postponed

_AHEAD = 3
"""Batches prefetched from disk while a step computes."""


class Resident:
    """A table held on the device: a batch is one gather.

    `fetch` gives the examples at each of `indices` (int64 [n] each), in order, here as in the other two classes.
    """

    def __init__(self, table: Examples, device: torch.device):
        self.fields = {name: value.to(device) for name, value in table.load().items()}
        self.device = device

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        index = index.to(self.device, non_blocking=True)
        return {name: value.index_select(0, index) for name, value in self.fields.items()}

    def fetch(self, indices: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        yield from map(self.rows, indices)


class OnDisk:
    """A table whose rows are read from disk by this process, prefetched some batches ahead."""

    def __init__(self, table: StoredExamples, device: torch.device):
        self.table, self.pin = table, device.type == "cuda"

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        found = self.table.rows(index)
        return {name: value.pin_memory() for name, value in found.items()} if self.pin else found

    def fetch(self, indices: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        announced: deque[Tensor] = deque()
        for index in indices:
            self.table.prefetch(index)
            announced.append(index)
            if len(announced) > _AHEAD:
                yield self.rows(announced.popleft())
        yield from map(self.rows, announced)


def _ignore_signals(worker: int) -> None:
    """Leave signals to the process group to the run, which needs its workers until the current step ends.

    Workers exit when the run stops them, or when it is gone.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Streamed(Dataset):
    """A table read batch by batch in worker processes: the index of a "sample" is that of a batch. It is sent as an
    array: a tensor would be sent as a file to fetch, which fails with a traceback if the run is killed meanwhile."""

    def __init__(self, table: Examples, workers: int):
        self.table, self.workers = table, workers

    def __getitem__(self, index: np.ndarray) -> dict[str, Tensor] | str:
        try:
            return self.table.rows(torch.from_numpy(index))
        except ValueError as error:  # raised in the worker, it would reach the user wrapped in a traceback
            return str(error)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return self.table.rows(index)

    def fetch(self, indices: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        pin = torch.cuda.is_available()
        settings: dict[str, Any] = {"num_workers": self.workers, "worker_init_fn": _ignore_signals, "pin_memory": pin}
        loader = DataLoader(self, batch_size=None, sampler=(index.numpy() for index in indices), **settings)
        with postponed():  # the destructor of half an iterator would print a traceback
            batches = iter(loader)
        for rows in batches:
            if isinstance(rows, str):
                raise ValueError(rows)
            yield rows


Storage = Resident | OnDisk | Streamed
