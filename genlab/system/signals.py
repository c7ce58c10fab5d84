"""Signals that end a run: SIGINT from the keyboard, SIGTERM from Slurm, Kubernetes and `kill`.

After the first one the current training step is completed, and work that can be repeated later is interrupted. The
second one ends the process at once, which is safe as files are written atomically.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

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
    os.write(2, f"genlab: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle signals by `handler` inside the block. No effect outside the main thread, which alone receives them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class Interruption:
    """Records signals inside `listening`: `received` is the number of the first one, else None."""

    def __init__(self):
        self.received: int | None = None
        self._time = 0.0
        self._interruptible = False

    @contextmanager
    def listening(self) -> Iterator["Interruption"]:
        """Handle signals inside the block."""
        with handling(self._receive):
            yield self

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
        if self.received and not is_echo(self._time):
            os._exit(128 + number)  # no message, no cleanup: either may be what hangs
        if self.received:
            return
        self.received, self._time = number, time.monotonic()
        if self._interruptible:
            raise Interrupted(number)
