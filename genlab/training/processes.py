"""Several processes on one machine that share a run: started, handed the signals that come, and asked how it went."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import multiprocessing

from genlab.files import replace_text
from genlab.training.interruption import Interrupted, handling


class RunFailed(RuntimeError):
    """A run that began and could not end; its folder and message tell why."""


def in_processes(processes: int, folder: Path, function: Callable, arguments: tuple) -> dict[str, float]:
    """Have `processes` call `function(*arguments)`, which trains into `folder`; the run's final metrics.

    `RunFailed` where one of them fails, `Interrupted` where a signal ended them.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.spawn(_work, (processes, port, function, arguments), nprocs=processes, join=False)
    with _forwarding([process.pid for process in context.processes]) as received:
        try:
            while not context.join():
                pass
        except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
            if received:  # it came before they listened
                raise Interrupted(received[0]) from error
            raise RunFailed(_reason(folder, error)) from error
    status = _status(folder)
    if status["status"] == "interrupted":
        raise Interrupted(received[0] if received else signal.SIGTERM, status["reason"])
    return status["final"]


def _work(number: int, processes: int, port: int, function: Callable, arguments: tuple) -> None:
    """One of the processes, set up as torchrun would."""
    os.setpgrp()  # Ctrl-C reaches the whole group of a terminal, and these by their parent alone
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number)}
    with suppress(Interrupted):  # taken for a failure, it would have the processes ended that are still saving
        function(*arguments)


@contextmanager
def _forwarding(children: list[int]) -> Iterator[list[int]]:
    """Pass signals on to `children`, which stand in groups of their own; yields the numbers of those that came."""
    received: list[int] = []

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    with handling(forward):
        yield received


def _status(folder: Path) -> dict:
    path = folder / "status.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _reason(folder: Path, error: Exception) -> str:
    """Why one of several processes failed: what process 0 wrote down, else the last line of the traceback."""
    status = _status(folder)
    reason = status.get("reason") or str(error).strip().splitlines()[-1]
    if status.get("status") == "running":  # process 0 was ended with the one that failed
        replace_text(folder / "status.json", json.dumps({**status, "status": "failed", "reason": reason}, indent=2))
    return f"{reason}\nrun        {folder} (status.json, train.log)"
