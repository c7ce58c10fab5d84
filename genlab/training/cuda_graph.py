"""Whole training steps as CUDA graphs: one launch replaces the hundreds of kernel launches of a small network.

A graph replays the recorded kernels at the same addresses. So the batch is copied into the recorded tensors, its noise
is drawn into the recorded noise tensors, and learning rates are tensors on the device. Steps that differ in any other
respect are of different kinds (`GenerativeModel.step_kind`), each with its own graph.

Reference: https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from genlab.contract.data import Batch

_WARM_UP = 3
"""Eager steps of a kind before one is recorded: libraries select their kernels in them."""

Scalars = dict[str, Tensor]


def make_capturable(optimizers: Iterable[Optimizer]) -> None:
    """Keep the optimizers' learning rates and step counts on the device; repeat after loading their state."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)


def portable(state: dict) -> dict:
    """An optimizer's state in the format of an optimizer that is not capturable."""
    plain: dict[str, Callable[[Any], Any]] = {"lr": float, "capturable": lambda _: False}
    groups = [
        {name: plain[name](value) if name in plain else value for name, value in group.items()}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


class Recorder(Protocol):
    """Records and replays work on a device."""

    def warm_up(self, work: Callable[[], Scalars]) -> Scalars:
        """Run `work` eagerly, so that it can be recorded afterwards."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record the device work of `work` without running it; calling the result runs it."""


class StepGraphs:
    """Runs steps by `run(batch)`, which returns scalars; from the fourth step of a kind on, replays a recording."""

    def __init__(self, run: Callable[[Batch], Scalars], recorder: Recorder):
        self.run, self.recorder = run, recorder
        self.recordings: dict[Hashable, _Recording] = {}

    def step(self, kind: Hashable, batch: Batch) -> Scalars:
        """One step on `batch`; steps of one `kind` must run the same kernels."""
        if kind not in self.recordings:
            self.recordings[kind] = _Recording(batch)
        return self.recordings[kind].step(batch, self.run, self.recorder)

    def forget(self) -> None:
        """Drop all recordings: tensors that they write to were replaced."""
        self.recordings = {}


class _Recording:
    """Steps of one kind: the batch at fixed addresses, and the replay function once recorded."""

    def __init__(self, batch: Batch):
        self.batch = _FixedBatch(batch)
        self.steps = 0
        self.scalars: Scalars = {}
        self.repeat: Callable[[], None] | None = None

    def step(self, batch: Batch, run: Callable[[Batch], Scalars], recorder: Recorder) -> Scalars:
        self.batch.refill(batch)
        self.steps += 1
        if self.steps <= _WARM_UP:
            return recorder.warm_up(lambda: run(self.batch))
        if self.repeat is None:
            self.repeat = recorder.record(lambda: self.scalars.update(run(self.batch)))
        self.repeat()
        return {name: value.clone() for name, value in self.scalars.items()}


class _FixedBatch(Batch):
    """A batch whose fields and noise keep their addresses between steps; noise must be drawn in the same order."""

    def __init__(self, batch: Batch):
        fields = {name: value.clone() for name, value in batch.fields.items()}
        super().__init__(fields, batch.seed, batch.offset, batch.total)
        self.drawn: list[tuple[Callable, tuple[int, ...], dict, Tensor]] = []
        self.taken = 0

    def refill(self, batch: Batch) -> None:
        """Copy the contents of `batch`, and draw the noise that it would draw."""
        for name, value in batch.fields.items():
            self.fields[name].copy_(value)
        self.seed, self.draws, self.taken = batch.seed, batch.draws, 0
        for sampler, shape, options, noise in self.drawn:
            noise.copy_(super()._draw(sampler, shape, **options))

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...], **options: Any) -> Tensor:
        if self.taken == len(self.drawn):
            self.drawn.append((sampler, shape, options, super()._draw(sampler, shape, **options).clone()))
        self.taken += 1
        return self.drawn[self.taken - 1][-1]


class GPU:
    """Records the kernels that are launched on the current CUDA device."""

    def __init__(self):
        self.stream = torch.cuda.Stream()  # the default stream cannot record; warm up on the same one
        self.memory = torch.cuda.graph_pool_handle()  # shared: recordings never run concurrently

    def warm_up(self, work: Callable[[], Scalars]) -> Scalars:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            scalars = work()
        torch.cuda.current_stream().wait_stream(self.stream)
        return scalars

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # thread_local: loader threads pin memory during the capture, which must not invalidate it.
        with torch.cuda.graph(graph, pool=self.memory, stream=self.stream, capture_error_mode="thread_local"):
            work()
        return graph.replay
