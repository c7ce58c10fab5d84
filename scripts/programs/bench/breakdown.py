"""Where a step of GenLab's spends its time: each piece is timed where the trainer calls it, in a run as users start it.

A clock is read around every call, about a microsecond a step in all: far less than a profiler's own work.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from statistics import median
from unittest import mock

WARM_UP = 20
"""Steps that do not count: first calls of kernels, first pages of memory."""

MOST_STEPS = 500

PIECES = ("data", "model and loss", "backward", "optimizer", "logging")


class Stopwatch:
    """Seconds by piece of the step in progress, and of all steps before."""

    def __init__(self):
        self.current: dict[str, float] = defaultdict(float)
        self.steps: list[dict[str, float]] = []
        self.begin = time.perf_counter()

    def add(self, piece: str, call: Callable, *arguments, **keywords):
        begin = time.perf_counter()
        try:
            return call(*arguments, **keywords)
        finally:
            self.current[piece] += time.perf_counter() - begin

    def around(self, piece: str, call: Callable) -> Callable:
        """`call`, timed as part of `piece`."""

        @wraps(call)
        def timed(*arguments, **keywords):
            return self.add(piece, call, *arguments, **keywords)

        return timed

    def through(self, piece: str, generator: Callable[..., Iterator]) -> Callable[..., Iterator]:
        """`generator`, whose work between its values is timed as part of `piece`."""

        @wraps(generator)
        def timed(*arguments, **keywords):
            values = generator(*arguments, **keywords)
            while True:
                try:
                    value = self.add(piece, next, values)
                except StopIteration:
                    return
                yield value

        return timed

    def stepped(self) -> None:
        now = time.perf_counter()
        self.steps.append({**self.current, "step": now - self.begin})
        self.current = defaultdict(float)
        self.begin = now

    def milliseconds(self) -> dict[str, float]:
        """Of a step, by piece: medians; "logging" is the mean, as it comes with some steps only.

        "loop" is what remains of steps without logging; "step" the sum of all pieces.
        """
        counted = self.steps[WARM_UP:]
        timed = [piece for piece in PIECES if piece != "logging"]
        pieces = {piece: median(step.get(piece, 0.0) for step in counted) for piece in timed}
        pieces["loop"] = median(step["step"] - sum(step.get(piece, 0.0) for piece in PIECES) for step in counted)
        pieces["logging"] = sum(step.get("logging", 0.0) for step in counted) / len(counted)
        return {piece: 1000 * seconds for piece, seconds in {**pieces, "step": sum(pieces.values())}.items()}


def share_outside(milliseconds: dict[str, float]) -> float:
    """The part of a step that is none of model, loss, backward and optimizer."""
    inside = sum(milliseconds[piece] for piece in ("model and loss", "backward", "optimizer"))
    return 1 - inside / milliseconds["step"]


def main(seconds: str, replies: str, *overrides: str) -> None:
    import torch
    from bench.contestant import train

    from genlab.data.loading import Loader
    from genlab.runs import train as run
    from genlab.training.trainer import Trainer

    watch = Stopwatch()
    end = float("inf")

    def stepped() -> None:
        nonlocal end
        watch.stepped()
        if len(watch.steps) == WARM_UP:
            end = time.perf_counter() + float(seconds)
        if len(watch.steps) == WARM_UP + MOST_STEPS or time.perf_counter() > end:
            with os.fdopen(int(replies), "w") as file:
                json.dump(watch.milliseconds(), file)
            os._exit(0)

    def build_trainer(*arguments, build=run.build_trainer, **keywords) -> Trainer:
        trainer = build(*arguments, **keywords)
        trainer.model.training_step = watch.through("model and loss", trainer.model.training_step)
        for optimizer in trainer.optimization.optimizers.values():
            optimizer.step = watch.around("optimizer", optimizer.step)
            optimizer.zero_grad = watch.around("optimizer", optimizer.zero_grad)
        trainer.log_row = watch.around("logging", trainer.log_row)
        return trainer

    def make_callbacks(*arguments, make=run.make_callbacks) -> list:
        callbacks = make(*arguments)
        for callback in callbacks:
            for hook in ("extra_metrics", "on_log", "on_step_end"):
                setattr(callback, hook, watch.around("logging", getattr(callback, hook)))
        return callbacks

    with (
        mock.patch.object(torch.autograd, "backward", watch.around("backward", torch.autograd.backward)),
        mock.patch.object(Loader, "batches", watch.through("data", Loader.batches)),
        mock.patch.object(run, "build_trainer", build_trainer),
        mock.patch.object(run, "make_callbacks", make_callbacks),
    ):
        train(list(overrides), stepped)


if __name__ == "__main__":
    main(*sys.argv[1:])
