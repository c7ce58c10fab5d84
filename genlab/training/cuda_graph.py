"""Whole training steps as CUDA graphs: one launch in place of the hundreds that a small network's kernels take.

A graph repeats what was recorded, at the same addresses. So the batch is copied to where the recorded one lay, its
noise is drawn anew into the recorded tensors, and learning rates are numbers on the device. What depends on the step
in other ways makes steps of several kinds (`GenerativeModel.step_kind`), each with a graph of its own.

Reference: https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from genlab.contract.data import Batch

_WARM_UP = 3
"""Steps of a kind that run as ever before one is recorded: libraries choose their kernels in them."""

Scalars = dict[str, Tensor]


def make_capturable(optimizers: Iterable[Optimizer]) -> None:
    """Let optimizers read their rates and count their steps on the device, also after a state was loaded into them."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)


def portable(state: dict) -> dict:
    """An optimizer's state as one that is not captured has it."""
    plain: dict[str, Callable[[Any], Any]] = {"lr": float, "capturable": lambda _: False}
    groups = [
        {name: plain[name](value) if name in plain else value for name, value in group.items()}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


class Recorder(Protocol):
    """Where steps are recorded."""

    def warm_up(self, work: Callable[[], Scalars]) -> Scalars:
        """Do `work` so that recording it may follow."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Note what `work` does on the device, without doing it; calling the result does it."""


class StepGraphs:
    """Makes steps by `run(batch)`, which returns scalars; from the fourth of a kind on by replaying a recording."""

    def __init__(self, run: Callable[[Batch], Scalars], recorder: Recorder):
        self.run, self.recorder = run, recorder
        self.recordings: dict[Hashable, _Recording] = {}

    def step(self, kind: Hashable, batch: Batch) -> Scalars:
        """One step on `batch`; steps of one `kind` are known to run the same kernels."""
        if kind not in self.recordings:
            self.recordings[kind] = _Recording(batch)
        return self.recordings[kind].step(batch, self.run, self.recorder)

    def forget(self) -> None:
        """Record anew: tensors that the recordings write to were replaced."""
        self.recordings = {}


class _Recording:
    """Steps of one kind: the batch at its fixed place, and what repeats them once it is known."""

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
    """A batch whose fields and noise keep their addresses from step to step, and the noise its order."""

    def __init__(self, batch: Batch):
        fields = {name: value.clone() for name, value in batch.fields.items()}
        super().__init__(fields, batch.seed, batch.offset, batch.total)
        self.drawn: list[tuple[Callable, tuple[int, ...], dict, Tensor]] = []
        self.taken = 0

    def refill(self, batch: Batch) -> None:
        """Take the contents of `batch`, and draw the noise that it would have drawn."""
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
        self.stream = torch.cuda.Stream()  # recording is refused on the default one, so warming up leaves that as well
        self.memory = torch.cuda.graph_pool_handle()  # for all recordings: no two of them are ever played at once

    def warm_up(self, work: Callable[[], Scalars]) -> Scalars:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            scalars = work()
        torch.cuda.current_stream().wait_stream(self.stream)
        return scalars

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # What loaders' threads do meanwhile, pinning memory, is none of the recording's business.
        with torch.cuda.graph(graph, pool=self.memory, stream=self.stream, capture_error_mode="thread_local"):
            work()
        return graph.replay
