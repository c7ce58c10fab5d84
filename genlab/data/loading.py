"""Batches on the device from tables of examples: gathered from memory, or streamed by a DataLoader."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice

import torch
from torch import Tensor

from genlab.contract.data import Batch, Field
from genlab.contract.settings import LoaderConfig
from genlab.data.augment import augment
from genlab.data.order import IndexStream
from genlab.data.source import Examples, Source, StoredExamples
from genlab.data.storage import OnDisk, Resident, Storage, Streamed
from genlab.media.kinds import kind_of
from genlab.system import cores, distributed, memory
from genlab.system.portions import rows_at_once
from genlab.system.seeding import mix
from genlab.system.text import size_in_words

_TRAIN, _VALIDATION = 1, 2  # seed the noise of each separately
_MOST_WORKERS = 8  # by default
_WATCHED_BATCHES = 100  # window over which waiting is measured
_MUCH_WAITING = 0.2  # fraction of training time

log = logging.getLogger("genlab")


class Loader:
    """Batches of one split of one dataset. A batch depends only on (seed, step).

    rank, world: this process draws rows rank/world ... (rank + 1)/world of every global batch.
    """

    def __init__(
        self,
        source: Source,
        split: str,
        settings: LoaderConfig,
        *,
        seed: int,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
        rank: int = 0,
        world: int = 1,
    ):
        self.settings, self.seed, self.device, self.memory_format = settings, seed, device, memory_format
        self.dtype = torch.get_default_dtype()
        self.spec, self.size = source.spec, source.sizes[split]
        self.rank, self.world = rank, world
        self.rows = rows_at_once(*(self.spec[domain].shape for domain in self.spec.domains))  # of a batch `in_order`
        # Half of the cores decode, as training needs the rest.
        workers = min(max(1, cores.available() // (2 * world)), _MOST_WORKERS)
        self.workers = workers if settings.workers is None else settings.workers
        self.redrawn = source.redrawn if split == "train" else None
        tables = (self.redrawn.source if self.redrawn else source).open(split)
        self.storage: list[str] = []  # where each table is stored, for the log
        self.tables = [
            self._storage_of(table, f"{split} {name}")
            for name, table in zip(self.spec.domains if len(tables) > 1 else ("data",), tables, strict=True)
        ]
        self.streams = [IndexStream(len(table), seed, number) for number, table in enumerate(tables)]

    def batches(self, batch_size: int, start_step: int = 0) -> Iterator[Batch]:
        """This process's shard of the global training batches from `start_step` on, endlessly."""
        step = start_step
        while True:
            for batch in self._segment(batch_size, step, self._steps_of_epoch(batch_size, step)):
                yield batch
                step += 1

    def _steps_of_epoch(self, batch_size: int, step: int) -> int | None:
        """Number of steps from `step` on whose order is known before the first of them; None for all.

        With weights, the next epoch's order depends on the steps before it, so nothing of it is prefetched.
        """
        if self.order.weights is None:
            return None
        size = self.order.size
        epoch = ((step + 1) * batch_size - 1) // size
        return (epoch + 1) * size // batch_size - step

    def _segment(self, batch_size: int, start_step: int, steps: int | None) -> Iterator[Batch]:
        shard = batch_size // self.world
        offset = self.rank * shard
        drawn_from: deque[Tensor] = deque()  # rows of the first table, for models that weight examples

        def indices(stream: IndexStream) -> Iterator[Tensor]:
            for step in count(start_step) if steps is None else range(start_step, start_step + steps):
                index = stream.take(step * batch_size + offset, shard)
                if stream.weights:
                    drawn_from.append(index)
                yield index

        tables = [table.fetch(indices(stream)) for table, stream in zip(self.tables, self.streams, strict=True)]
        drawn: Iterator[tuple[dict[str, Tensor], ...]] = zip(*tables, strict=True)
        if steps is None and not all(isinstance(table, Resident) for table in self.tables):
            drawn = self._warning_if_slow(drawn, shard)
        for step, parts in enumerate(drawn, start_step):
            batch = Batch(self._fields(parts), mix(self.seed, _TRAIN, step), offset, batch_size)
            augment(batch, self.spec, self.settings.flip, self.settings.shift)
            self._redraw(batch)
            if drawn_from:
                batch.fields["index"] = drawn_from.popleft().to(self.device)
            yield batch

    @property
    def order(self) -> IndexStream:
        """The order of the first table, the only one that weights may determine."""
        return self.streams[0]

    def weight_examples(self, weights: Callable[[], Tensor]) -> None:
        """From now on draw training examples in proportion to `weights()` [size], read at each epoch's start."""
        self.order.weights = weights

    def in_order(self, limit: int | None = None, shared: bool = False) -> Iterator[Batch]:
        """Every example once, in the order of the split (at most `limit`), with the same noise at every call.

        A domain smaller than the other repeats from its first example.
        shared: only this process's shard of the batches.
        """
        batches = list(enumerate(range(0, min(self.size, limit or self.size), self.rows)))
        if shared:
            batches = list(distributed.shard(batches))

        def indices(size: int) -> Iterator[Tensor]:
            for _, start in batches:
                yield torch.arange(start, min(start + self.rows, self.size, limit or self.size)) % size

        tables = [table.fetch(indices(stream.size)) for table, stream in zip(self.tables, self.streams, strict=True)]
        for (number, _), parts in zip(batches, zip(*tables, strict=True), strict=True):
            yield self._with_counterparts(Batch(self._fields(parts), mix(self.seed, _VALIDATION, number)))

    def evenly_spaced(self, number: int) -> Batch:
        """`number` examples, evenly spaced over the split (each domain separately), since a split may be sorted.

        Fewer if the split, or the smaller domain, holds fewer: no example is repeated.
        """
        number = min(number, *(stream.size for stream in self.streams))
        rows = [torch.linspace(0, stream.size - 1, number, dtype=torch.float64) for stream in self.streams]
        tables = [table.fetch(iter([row.round().long()])) for table, row in zip(self.tables, rows, strict=True)]
        (parts,) = zip(*tables, strict=True)
        return self._with_counterparts(Batch(self._fields(parts), mix(self.seed, _VALIDATION, 0)))

    def _with_counterparts(self, batch: Batch) -> Batch:
        """Of paired domains, each is the other's true translation."""
        self._redraw(batch)
        if self.spec.paired:
            batch.fields |= {"a_as_b": batch["b"], "b_as_a": batch["a"]}
        return batch

    def _redraw(self, batch: Batch) -> None:
        if self.redrawn:
            self.redrawn.draw(batch)

    def _storage_of(self, table: Examples, name: str) -> Storage:
        gibibytes = table.nbytes / 2**30
        chosen = f"loader.storage={self.settings.storage}"
        if {"memory": True, "stream": False, "auto": gibibytes <= self.settings.memory_limit}[self.settings.storage]:
            memory.check(table.nbytes, f"{chosen}: the data ({name}) needs",
                         "give loader.storage=stream, or smaller images")  # fmt: skip
            held: Storage = Resident(table, self.device)
            where = f"held in memory on {self.device}"
        elif isinstance(table, StoredExamples):
            held, where = OnDisk(table, self.device), "read from the disk as they are drawn"
        else:
            held, where = Streamed(table, self.workers), f"streamed, decoded {self._decoder}"
        self.storage.append(f"{name}: {len(table)} examples, {size_in_words(table.nbytes)}, {where} ({chosen})")
        return held

    @property
    def _decoder(self) -> str:
        return f"by {self.workers} workers" if self.workers else "by the training process"

    def _warning_if_slow(self, batches: Iterator[tuple], size: int) -> Iterator[tuple]:
        """Pass on the endless `batches` of `size`; warn once if training spends much of its time waiting for them."""
        yield from islice(batches, _WATCHED_BATCHES)  # not measured: workers start, and the first steps are slow
        fraction = 0.0
        while fraction < _MUCH_WAITING:
            waited, start = 0.0, time.perf_counter()
            for _ in range(_WATCHED_BATCHES):
                asked = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - asked
                yield batch
            seconds = time.perf_counter() - start
            fraction = waited / seconds
        decoding = any(isinstance(table, Streamed) for table in self.tables)
        log.warning(
            "loader: training waited %.0f %% of the time for examples (%s, %.0f a second); %s or loader.storage=memory "
            "would help",
            100 * fraction,
            f"decoded {self._decoder}" if decoding else "read from the disk",
            _WATCHED_BATCHES * size / seconds,
            "more loader.workers, smaller files" if decoding else "a faster disk",
        )
        yield from batches

    def _fields(self, parts: tuple[dict[str, Tensor], ...]) -> dict[str, Tensor]:
        """The rows of all tables on the device, as models take them."""
        stored = {name: value.to(self.device, non_blocking=True) for part in parts for name, value in part.items()}
        return {name: self._floats(name, value) for name, value in stored.items()}

    def _floats(self, name: str, stored: Tensor) -> Tensor:
        return kind_of(self.spec[name]).floats(stored, self.dtype, self.memory_format)


def open_split(source: Source, split: str, settings: LoaderConfig, *, seed: int, device: torch.device) -> Loader:
    """Batches of a split on `device`, without augmentation."""
    return Loader(source, split, replace(settings, flip=False, shift=0), seed=seed, device=device)


def as_examples(stored: Tensor, field: Field) -> Tensor:
    """Stored rows of a field as 32-bit floats, as a loader would give them on the CPU."""
    return kind_of(field).floats(stored, torch.float32, torch.contiguous_format)
