"""Start `genlab` in a process of its own, look at it from outside, and end it in rude ways.

Importing torch takes seconds, so most processes are forked from a server that has done so. `real` ones are not.
"""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

_PRELOADED = [
    "torch.utils.tensorboard",
    "genlab.cli",
    "genlab.commands.train",
    "genlab.commands.resume",
    "genlab.runs.check",
    "genlab.runs.train",
    "genlab.evaluation.context",
]

_PATIENCE = 300
"""Seconds after which a process that should have ended is said to hang."""

sys.warnoptions.append("ignore:resource_tracker")  # it would tell at the end of each semaphore of a killed process
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)
_lock = threading.Lock()  # two threads that ask for one exit code would find it once


class Child:
    """One `genlab` command under way, leader of a process group; what it prints goes to the end of `log`.

    real: `python -m genlab` from the start; else forked from a process that has imported everything.
    file_limit: bytes that no file it writes may exceed.
    """

    def __init__(self, arguments: list[str], log: Path, *, real: bool = False, file_limit: int | None = None):
        assert not (real and file_limit), "limits are set in forked processes only"
        self.log = log
        self.begin = time.monotonic()
        self.offset = log.stat().st_size if log.exists() else 0
        if real:
            command = [sys.executable, "-m", "genlab", *arguments]
            with log.open("ab") as file:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
                )
        else:
            with _lock:
                self.process = _context.Process(target=_be, args=(arguments, log, file_limit))
                self.process.start()

    def wait(self, timeout: float = _PATIENCE) -> int | None:
        """The exit code, minus the number of the signal that ended it; None where it still runs after `timeout`."""
        if isinstance(self.process, subprocess.Popen):
            try:
                return self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                return None
        connection.wait([self.process.sentinel], timeout)
        with _lock:
            return self.process.exitcode

    def watch(self, seen: Callable[[], object], patience: float = _PATIENCE) -> bool:
        """Wait until `seen()`; False where the process ended first."""
        end = time.monotonic() + patience
        while not seen():
            if self.wait(0) is not None or time.monotonic() > end:
                return False
            time.sleep(0.0005)
        return True

    def send(self, number: signal.Signals, group: bool = True) -> None:
        """A signal to the whole process group, as a terminal sends it, or to the first process alone."""
        try:
            (os.killpg if group else os.kill)(self.process.pid, number)
        except ProcessLookupError:
            if group and self.wait(0) is None:  # not yet a group
                self.send(number, group=False)

    def kill(self, group: bool = True) -> None:
        self.send(signal.SIGKILL, group)
        self.wait()

    @property
    def printed(self) -> str:
        """All that it has printed so far, to both streams."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self.offset)
            return file.read().decode(errors="replace")


def _be(arguments: list[str], log: Path, file_limit: int | None) -> None:
    """Become what a shell would have started."""
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # workers of loaders start as ever, not by a server
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    sys.argv = ["genlab", *arguments]
    from genlab.cli import main

    main(arguments)


def genlab(arguments: list[str], log: Path, **how) -> tuple[int | None, str]:
    """Run a command to its end: its exit code (None where it hangs) and what it printed."""
    child = Child(arguments, log, **how)
    code = child.wait()
    if code is None:
        child.kill()
    return code, child.printed
