"""A process that trains when it is its turn: `genlab train` itself, the plain loop, or the usual script.

The other end is `turns.Contestant`. A line on standard input is a turn: the seconds it may last. A line of JSON on the
reply pipe tells what came of it; the first one tells of the very first step. End of input ends the process.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

WARM_UP = 2
"""Steps at the begin of a turn that do not count: the caches held another process's data."""


class Turns:
    """What a contestant calls after every step: it measures, and waits while it is not its turn."""

    def __init__(self, commands: IO[str], replies: IO[str]):
        self.commands, self.replies = commands, replies
        self.seconds: float | None = None

    def stepped(self) -> None:
        now = time.perf_counter()
        if self.seconds is None:
            self._reply({"first_step": age()})
            return
        self.steps += 1
        if self.steps == 0:
            self.begin = now
        elif self.steps > 0 and now - self.begin >= self.seconds:
            self._reply({"steps": self.steps, "seconds": now - self.begin, "peak_bytes": peak_memory()})

    def _reply(self, message: dict[str, float]) -> None:
        print(json.dumps(message), file=self.replies, flush=True)
        command = self.commands.readline()
        if not command:
            os._exit(0)  # a run that was ended in order would measure and save once more
        self.seconds, self.steps = float(command), -WARM_UP


def age() -> float:
    """Seconds since this process was started, to a hundredth."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - started


def peak_memory() -> int:
    """Most bytes that this process ever held in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def train(overrides: list[str], stepped: Callable[[], None]) -> None:
    """`genlab train` with one more callback, the last to be told of a step."""
    from genlab.cli import main
    from genlab.system import spin
    from genlab.system.neighbours import Neighbours

    neighbours = Neighbours()
    import genlab.commands.requests  # noqa: F401

    spin.choose(overrides, neighbours)  # as `main` does, but what follows loads torch
    from genlab.runs import train as run
    from genlab.training.callback import Callback

    class StepEnd(Callback):
        key = "step_end"  # which no other callback may have

        def on_step_end(self, trainer) -> None:
            stepped()

    make_callbacks = run.make_callbacks
    run.make_callbacks = lambda *parts: [*make_callbacks(*parts), StepEnd()]
    main(["train", *overrides])


def repeat(step: Callable[[], None], stepped: Callable[[], None]) -> None:
    while True:
        step()
        stepped()


def main(kind: str, replies: str, *arguments: str) -> None:
    """The contestant `kind`: "genlab" takes overrides; the others a workload's name, the folder of its data, and
    "plain" its `Settings` as JSON and the number of threads, "usual" the number of loader workers."""
    turns = Turns(sys.stdin, os.fdopen(int(replies), "w"))
    if kind == "genlab":
        train(list(arguments), turns.stepped)
        return
    name, data, *rest = arguments
    if kind == "plain":
        from bench.plain import Settings
        from bench.workloads import WORKLOADS

        settings, threads = Settings(**json.loads(rest[0])), int(rest[1])
        settings.apply(threads)
        step = WORKLOADS[name].plain_step(Path(data, "MNIST/raw"), settings)
    else:
        from bench import usual

        step = usual.script(name, Path(data), int(rest[0]))
    repeat(step, turns.stepped)


if __name__ == "__main__":
    main(*sys.argv[1:])
