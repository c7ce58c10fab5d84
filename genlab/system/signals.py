"""Signals that ask a run to end: SIGINT from the keyboard, SIGTERM from Slurm, Kubernetes and `kill`.

The first one lets the step in progress end and interrupts work that can be repeated later. The second one ends the
process at once: every file on the disk was written as a whole.
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
"""Launchers send a signal to a process and to its group: a second one so soon is the first one again."""


def is_echo(first: float) -> bool:
    """Whether a signal that comes now is the one of time `first` again, by `time.monotonic`."""
    return time.monotonic() - first <= _ECHO_SECONDS


class Interrupted(KeyboardInterrupt):
    """A signal ended the run. Like KeyboardInterrupt no `Exception`, so that nothing takes it for a failure."""

    def __init__(self, number: int, message: str = ""):
        self.number = number
        super().__init__(message or f"stopped by {signal.Signals(number).name}")

    def __reduce__(self):  # a launcher sends it from one process to another
        return type(self), (self.number, str(self))


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Before a run listens there is nothing to save, and an exception could get lost in C code that imports."""
    with handling(_leave):
        yield


def _leave(number: int, frame: Any) -> None:
    os.write(2, f"genlab: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


@contextmanager
def handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Give the signals to `handler`; other threads than the main one never get any."""
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
    """Whether a signal came: `received` holds its number. Listens inside `listening` only."""

    def __init__(self):
        self.received: int | None = None
        self._time = 0.0
        self._breakable = False

    @contextmanager
    def listening(self) -> Iterator["Interruption"]:
        """Take the signals over."""
        with handling(self._receive):
            yield self

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that a signal ends at once by `Interrupted`: nothing is lost when it is done again."""
        self._breakable = True
        try:
            if self.received:
                raise Interrupted(self.received)
            yield
        finally:
            self._breakable = False

    def _receive(self, number: int, frame: Any) -> None:
        if self.received and not is_echo(self._time):
            os._exit(128 + number)  # without a word: what would be said or cleared away may be what hangs
        if self.received:
            return
        self.received, self._time = number, time.monotonic()
        if self._breakable:
            raise Interrupted(number)
