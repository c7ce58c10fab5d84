"""Signals that end a run: SIGINT from the keyboard, SIGTERM from Slurm, Kubernetes and `kill`, SIGHUP when the terminal
is gone, and those by which batch systems announce the end of a job.

After the first one the current training step is completed, and work that can be repeated later is interrupted. A second
SIGINT or SIGTERM ends the process at once, which is safe as files are written atomically.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_DEMANDS = (signal.SIGINT, signal.SIGTERM)

_NOTICES = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU") if hasattr(signal, name))
"""Signals that often come more than once, so that the second one demands no more than the first."""

SIGNALS = (*_DEMANDS, *_NOTICES)

_ECHO_SECONDS = 0.3
"""Launchers signal both a process and its group: a second signal within this time is a duplicate of the first."""


def is_echo(first: float) -> bool:
    """Whether a signal that arrives now duplicates the one received at `first` (`time.monotonic`)."""
    return time.monotonic() - first <= _ECHO_SECONDS


class Interrupted(KeyboardInterrupt):
    """A signal ended the run. Like KeyboardInterrupt it is not an `Exception`, so no handler takes it for a failure."""

    def __init__(self, number: int, message: str = ""):
        self.number = number
        super().__init__(message or f"stopped by {signal.Signals(number).name}")

    def __reduce__(self):  # launchers send it between processes
        return type(self), (self.number, str(self))


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Exit at once on a signal: nothing is saved before training, and C code in imports may swallow exceptions."""
    with handling(_leave):
        yield


def _leave(number: int, frame: Any) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"genlab: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def caught() -> list[signal.Signals]:
    """The signals to handle. A notice that whoever started this process has it ignore, as nohup does, stays ignored."""
    return [number for number in SIGNALS if number in _DEMANDS or signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def sparing_helpers() -> Iterator[None]:
    """Helper processes that libraries start inside the block outlive a notice to the process group. Python's and loky's
    resource trackers ignore SIGINT and SIGTERM by themselves."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOTICES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle signals by `handler` inside the block. No effect outside the main thread, which alone receives them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in caught()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def postponed() -> Iterator[None]:
    """Signals inside the block are handled at its end: what a library constructs in it is whole, or was never begun."""
    received: list[tuple[int, Any]] = []
    try:
        with handling(lambda *signalled: received.append(signalled)):
            yield
    finally:
        for number, frame in received:
            handler = signal.getsignal(number)
            if callable(handler):
                handler(number, frame)


class Interruption:
    """Records signals inside `listening`: `received` is the number of the first one, else None."""

    def __init__(self):
        self.received: int | None = None
        self._demanded: float | None = None  # time of the first SIGINT or SIGTERM
        self._interruptible = False

    @contextmanager
    def listening(self) -> Iterator["Interruption"]:
        """Handle signals inside the block. Where Python ignores an exception, as in a destructor or at a fork, it shows
        none of ours: `received` is enough."""
        shown = sys.unraisablehook
        sys.unraisablehook = lambda found: None if isinstance(found.exc_value, Interrupted) else shown(found)
        try:
            with handling(self._receive):
                yield self
        finally:
            sys.unraisablehook = shown

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that a signal ends at once by raising `Interrupted`; it must be safe to repeat."""
        self._interruptible = True
        try:
            if self.received:
                raise Interrupted(self.received)
            yield
        finally:
            self._interruptible = False

    def _receive(self, number: int, frame: Any) -> None:
        if number in _DEMANDS:
            if self._demanded is not None and not is_echo(self._demanded):
                os._exit(128 + number)  # no message, no cleanup: either may be what hangs
            self._demanded = self._demanded or time.monotonic()
        if self.received:
            return
        self.received = number
        if self._interruptible:
            raise Interrupted(number)
