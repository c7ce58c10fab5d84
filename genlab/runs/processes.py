"""Processes that share a run, started here or by torchrun: how they meet, follow process 0, and end.

The store lives in the process that started them. The first process to fail writes its error there before the group is
torn down, so that the others can report the cause.
"""

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing.connection import wait
from typing import Any

from torch import distributed as dist
from torch import multiprocessing

from genlab.checkpoints.folder import RunFolder
from genlab.system.distributed import PeerLost, barrier, from_first
from genlab.system.files import replace_text
from genlab.system.signals import Interrupted, handling

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: process 0 alone trains classifiers and writes, and the defaults of 10 and
30 minutes are less than that may take. A process that dies ends the others without it."""

_PREFIX = "genlab/{}"
_ERROR = "error"
"""The key of the first error in the store."""

_GRACE_SECONDS = 10
"""How long the others may take to end once one has failed."""

_KILLED = "another process of this run ended without an error message, as a killed one does"


class RunFailed(RuntimeError):
    """A run that began and could not end; its folder and message tell why."""

    def __init__(self, reason: str, folder: RunFolder):
        self.reason = reason
        super().__init__(f"{reason}\nrun        {folder} (status.json, train.log)")


def reason_of(error: BaseException) -> str:
    """What went wrong, in the words of the system where it is its own error: without its number."""
    if isinstance(error, RunFailed):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


class _Group:
    """The processes of this run, as one of them sees them."""

    store: Any = None
    """Where the processes meet: a `dist.Store` while there is a group."""

    followers_wait = False
    """Whether the other processes of torchrun's wait for an order of process 0."""


@contextmanager
def _group() -> Iterator[None]:
    """Join the others, where environment variables say; an error that ends the block is reported to them."""
    store, rank, world = next(dist.rendezvous("env://", timeout=_PATIENCE))
    # torchrun's store still holds, when it starts all again, what those that failed had said to each other.
    _Group.store = dist.PrefixStore(_PREFIX.format(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)), store)
    dist.init_process_group(store=_Group.store, rank=rank, world_size=world, timeout=_PATIENCE)
    try:
        yield
    except BaseException as error:
        if not isinstance(error.__cause__ or error, PeerLost):
            _report_failure(error)
        raise
    finally:
        dist.destroy_process_group()
        _Group.store = None


def _report_failure(error: BaseException) -> None:
    """Write why this process ends to the store, unless another has done so."""
    number = getattr(error, "number", signal.SIGINT) if isinstance(error, KeyboardInterrupt) else None
    entry = {"reason": reason_of(error), "signal": number, "refused": isinstance(error, ValueError)}
    with suppress(RuntimeError):
        _Group.store.compare_set(_ERROR, "", json.dumps(entry))


def first_failure() -> Exception | Interrupted:
    """The error of the process that failed first, as far as it could report one."""
    with suppress(RuntimeError):  # the one that started all may be gone, and the store with it
        return _error_in(_Group.store) or PeerLost(_KILLED)
    return PeerLost(_KILLED)


def _error_in(store: dist.Store) -> Exception | Interrupted | None:
    if not store.check([_ERROR]):
        return None
    entry = json.loads(store.get(_ERROR))
    if entry["signal"]:
        return Interrupted(entry["signal"])
    return (ValueError if entry["refused"] else PeerLost)(entry["reason"])


def under_torchrun() -> bool:
    """Whether torchrun, or another launcher that speaks its language, started this process."""
    return "RANK" in os.environ


def under_one_command(command: Callable[[], int], train: Callable) -> int:
    """What the processes of torchrun do: number 0 carries out the command, the others `train` when it does.

    So one alone reads the command line, looks at folders and speaks. Returns the exit code.
    """
    if int(os.environ["RANK"]) > 0:
        return _run_as_follower(train)
    with _group():
        _Group.followers_wait = True
        try:
            return command()
        finally:
            if _Group.followers_wait:
                from_first(None)
                barrier()


def _run_as_follower(train: Callable) -> int:
    try:
        with _group():
            while (order := from_first(None)) is not None:
                train(*order)
            barrier()
    except Interrupted as error:
        return 128 + error.number
    except Exception:  # process 0 tells of it
        return 1
    return 0


def is_leader() -> bool:
    """Whether this is process 0 of torchrun's, and the others wait for what it says."""
    return _Group.followers_wait


def run_as_leader(train: Callable, arguments: tuple) -> dict[str, float]:
    """Have all processes `train`; what comes of it."""
    from_first(arguments)
    _Group.followers_wait = False
    final = train(*arguments)
    _Group.followers_wait = True
    return final


def in_processes(processes: int, folder: RunFolder, function: Callable, arguments: tuple) -> dict[str, float]:
    """Have `processes` on this machine call `function(*arguments)`, which trains into `folder`; the final metrics.

    `RunFailed`, or the `ValueError` of a run that did not begin, where one of them fails; `Interrupted` where a signal
    ended them.
    """
    if multiprocessing.get_start_method() not in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("spawn", force=True)  # joblib's own, which the processes would not know
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = multiprocessing.spawn(_work, (processes, store.port, function, arguments), nprocs=processes, join=False)
    with _forwarding([process.pid for process in context.processes]) as received:
        failed = _wait_for(context.processes)
    status = json.loads(folder.status.read_text()) if folder.status.is_file() else {}
    if failed and received:
        raise Interrupted(received[0])
    if failed:
        error = _error_in(dist.PrefixStore(_PREFIX.format(0), store))
        if isinstance(error, ValueError | Interrupted):
            raise error
        reason = str(error) if error else _how_it_ended(*failed)
        if status.get("process") in [process.pid for process in context.processes]:
            status |= {"status": "failed", "reason": reason}
            replace_text(folder.status, json.dumps(status, indent=2))
        raise RunFailed(reason, folder)
    if status["status"] == "interrupted":
        raise Interrupted(received[0] if received else signal.SIGTERM, status["reason"])
    return status["final"]


def _work(number: int, processes: int, port: int, function: Callable, arguments: tuple) -> None:
    """One of the processes, set up as torchrun would."""
    os.setpgrp()  # Ctrl-C reaches the whole group of a terminal, and these by their parent alone
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    try:
        with _group():
            function(*arguments)
            barrier()  # one that leaves early may have gloo abort the others
    except Interrupted:
        pass  # no failure: the others may still be saving
    except Exception:
        sys.exit(1)  # its error is in the store


def _wait_for(processes: list) -> tuple[int, int] | None:
    """Number and exit code of the first process that failed, None where none did; once all are gone."""
    alive, failed, deadline = dict(enumerate(processes)), None, math.inf
    while alive:
        wait(
            [process.sentinel for process in alive.values()],
            None if failed is None else max(0.0, deadline - time.monotonic()),
        )
        for number, process in list(alive.items()):
            if process.exitcode is not None:
                del alive[number]
                if process.exitcode and not failed:
                    failed, deadline = (number, process.exitcode), time.monotonic() + _GRACE_SECONDS
        if failed and time.monotonic() >= deadline:
            for process in alive.values():
                process.kill()
    return failed


def _how_it_ended(number: int, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = "; the system does that where memory runs out" if code == -signal.SIGKILL else ""
    return f"process {number} of the run {how}{hint}"


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
