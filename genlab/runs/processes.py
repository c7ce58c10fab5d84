"""The processes of a run, started here or by torchrun: process group, commands of process 0, and failures.

The store belongs to the process that started them. The first process to fail writes its error there before the group is
torn down, so that the others can report the cause.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing import resource_tracker
from typing import Any

from torch import distributed as dist
from torch import multiprocessing
from torch.multiprocessing import ProcessExitedException

from genlab.checkpoints.folder import RunFolder
from genlab.system import torchrun
from genlab.system.distributed import PeerLost, barrier, from_first
from genlab.system.files import replace_text
from genlab.system.logs import console, log_to_console
from genlab.system.signals import Interrupted, handling, sparing_helpers
from genlab.system.small_files import json_text
from genlab.system.streams import lasting_streams

_PATIENCE = timedelta(hours=2)
"""Timeout of collectives. The others wait while process 0 alone trains classifiers and writes files, which may exceed
the defaults of 10 and 30 minutes. The death of a process is detected without the timeout."""

_PREFIX = "genlab/{}"
_ERROR = "error"
"""The key of the first error in the store."""

_GRACE_SECONDS = 10
"""Time for the other processes to end after one has failed, and again after SIGTERM."""

_KILLED = "another process of this run ended without an error message; it may have been killed"


class RunFailed(RuntimeError):
    """A run that started and failed; the message and its folder give the reason."""

    def __init__(self, reason: str, folder: RunFolder):
        self.reason = reason
        super().__init__(f"{reason}\nrun        {folder} (status.json, train.log)")


def reason_of(error: BaseException) -> str:
    """The error message; for a system error, its text without the error number."""
    if isinstance(error, RunFailed):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


class _Group:
    """This process's view of the group of processes."""

    store: Any = None
    """The `dist.Store` that the processes share while there is a group."""

    followers_wait = False
    """Whether the other torchrun processes wait for a command from process 0."""


@contextmanager
def _group() -> Iterator[None]:
    """Join the process group that environment variables define; an error in the block is reported to the others."""
    store, rank, world = next(dist.rendezvous("env://", timeout=_PATIENCE))
    # When torchrun restarts all processes, its store still holds entries of the failed ones.
    _Group.store = dist.PrefixStore(_PREFIX.format(torchrun.restarts()), store)
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
    """Write this process's error to the store, unless there is one already."""
    number = getattr(error, "number", signal.SIGINT) if isinstance(error, KeyboardInterrupt) else None
    entry = {"reason": reason_of(error), "signal": number, "refused": isinstance(error, ValueError)}
    with suppress(RuntimeError):
        _Group.store.compare_set(_ERROR, "", json.dumps(entry))


def first_failure() -> Exception | Interrupted:
    """The error of the process that failed first, if it could report one."""
    with suppress(RuntimeError):  # the parent process, and the store with it, may be gone
        return _error_in(_Group.store) or PeerLost(_KILLED)
    return PeerLost(_KILLED)


def _error_in(store: dist.Store) -> Exception | Interrupted | None:
    if not store.check([_ERROR]):
        return None
    entry = json.loads(store.get(_ERROR))
    if entry["signal"]:
        return Interrupted(entry["signal"])
    return (ValueError if entry["refused"] else PeerLost)(entry["reason"])


def under_one_command(command: Callable[[], int], train: Callable) -> int:
    """Run a command under torchrun: rank 0 runs `command`, the others call `train` when it does.

    So only rank 0 reads the command line, inspects folders and writes to the terminal. Returns the exit code.
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
    except Exception:  # process 0 reports it
        return 1
    return 0


def in_all_processes(processes: int, folder: RunFolder, train: Callable, arguments: tuple) -> dict[str, float]:
    """Call `train(*arguments)`, which trains into `folder`, in all processes of a run; returns the final metrics.

    These are torchrun's, or `processes` that are started here. `RunFailed` if one of them fails, or its `ValueError` if
    the run did not start; `Interrupted` on a signal.
    """
    if processes > 1 and not torchrun.started_this():
        return _start(processes, folder, train, arguments)
    leads, _Group.followers_wait = _Group.followers_wait, False
    if leads:
        from_first(arguments)
    final = train(*arguments)
    _Group.followers_wait = leads
    return final


def _start(processes: int, folder: RunFolder, function: Callable, arguments: tuple) -> dict[str, float]:
    """Start `processes` that call `function(*arguments)`, and wait for them."""
    if multiprocessing.get_start_method() not in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("spawn", force=True)  # joblib's own method is unknown to the new processes
    with sparing_helpers():
        resource_tracker.ensure_running()
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = (processes, store.port, console(), function, arguments)
    context = multiprocessing.spawn(_work, shared, nprocs=processes, join=False)
    failure = None
    with _forwarding(context.pids()) as received:
        try:
            while not context.join(grace_period=_GRACE_SECONDS):
                pass
        except ProcessExitedException as ended:
            failure = ended
    status = json.loads(folder.status.read_text()) if folder.status.is_file() else {}
    if failure and received:
        raise Interrupted(received[0])
    if failure:
        error = _error_in(dist.PrefixStore(_PREFIX.format(0), store))
        if isinstance(error, ValueError | Interrupted):
            raise error
        reason = str(error) if error else _how_it_ended(failure)
        if status.get("process") in context.pids():
            status |= {"status": "failed", "reason": reason}
            replace_text(folder.status, json_text(status, indent=2))
        raise RunFailed(reason, folder)
    if status.get("status") in (None, "interrupted"):
        raise Interrupted(received[0] if received else signal.SIGTERM, status.get("reason") or "")
    return status["final"]


def _work(number: int, processes: int, port: int, logging: tuple | None, function: Callable, arguments: tuple) -> None:
    """The body of one process, set up as by torchrun. logging: how process 0 logs to the console."""
    os.setpgrp()  # Ctrl-C signals the terminal's whole group; the parent forwards it
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    try:
        with lasting_streams(), _group():
            if logging and number == 0:
                log_to_console(*logging)
            function(*arguments)
            barrier()  # if one exits early, gloo may abort the others
    except Interrupted:
        pass  # not a failure: the others may still be saving
    except (Exception, KeyboardInterrupt):  # the latter before the run listens for signals
        sys.exit(1)  # its error is in the store


def _how_it_ended(failure: ProcessExitedException) -> str:
    how = f"was ended by {failure.signal_name}" if failure.signal_name else f"ended with exit code {failure.exit_code}"
    hint = "; the system does that when memory runs out" if failure.signal_name == "SIGKILL" else ""
    return f"process {failure.error_index} of the run {how}{hint}"


@contextmanager
def _forwarding(children: list[int]) -> Iterator[list[int]]:
    """Forward signals to `children`, which are in separate process groups; yields the numbers of received signals."""
    received: list[int] = []

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    with handling(forward):
        yield received
