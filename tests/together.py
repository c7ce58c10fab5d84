"""Jobs that start together, each in a process of its own."""

import multiprocessing
from collections.abc import Callable
from typing import Any


def together(job: Callable[[], Any], count: int = 2) -> list[Any]:
    """What `job` returns in each of `count` forked processes, or the text of its error; no tensors."""
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(count), context.SimpleQueue()

    def run() -> None:
        start.wait(30)
        try:
            results.put(job())
        except BaseException as error:
            results.put(repr(error))

    processes = [context.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join(30)
    return found
