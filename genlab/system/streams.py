"""Standard output and standard error that never fail: what cannot be written is dropped.

Whoever reads them may leave (`| head`), the terminal may be gone, the disk full, or they may be closed from the start
(`>&-`). Showing what a command does must not end it.
"""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

NAMES = ("stdin", "stdout", "stderr")


class _Descriptor(io.FileIO):
    """Writes to a file descriptor that belongs to others; errors are ignored."""

    def write(self, data: Any) -> int:
        left = memoryview(data)
        with suppress(OSError):
            while left:
                written = super().write(left)
                if written is None:  # a pipe that does not block, and is full
                    select.select([], [self], [])
                left = left[written or 0 :]
        return len(data)


class _Lines(io.TextIOWrapper):
    """For files and pipes: a carriage return, by which progress bars overwrite their line, begins a new one."""

    _within_line = _returned = False

    def write(self, text: str) -> int:
        shown = ""
        for number, part in enumerate(text.split("\r")):
            self._returned = self._returned or number > 0
            if not part or (self._returned and not part.strip(" ")):  # blanks only wipe out what was there
                continue
            if self._returned and self._within_line and not part.startswith("\n"):
                shown += "\n"
            shown += part
            self._within_line, self._returned = not part.endswith("\n"), False
        super().write(shown)
        return len(text)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside the block `sys.stdout` and `sys.stderr` never fail. Streams that are no plain files, pipes or terminals,
    such as a notebook's, are left as they are."""
    _open_missing()
    before = {name: getattr(sys, name) for name in NAMES[1:]}
    for name, stream in before.items():
        if type(stream) is io.TextIOWrapper:
            setattr(sys, name, _lasting(stream))
    try:
        yield
    finally:
        for name, stream in before.items():
            with suppress(OSError, ValueError):
                getattr(sys, name).flush()
            setattr(sys, name, stream)


def _open_missing() -> None:
    """Open what was closed when the process began. Otherwise the first file that is opened becomes standard output, and
    libraries that print to it damage that file."""
    while (handle := os.open(os.devnull, os.O_RDWR)) < len(NAMES):
        os.set_inheritable(handle, True)
    os.close(handle)
    for name in NAMES:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def _lasting(stream: io.TextIOWrapper) -> TextIO:
    with suppress(OSError):
        stream.flush()
    kind = io.TextIOWrapper if stream.isatty() else _Lines
    descriptor = _Descriptor(stream.fileno(), "w", closefd=False)
    unbuffered = isinstance(stream.buffer, io.RawIOBase)  # python -u
    return kind(
        descriptor if unbuffered else io.BufferedWriter(descriptor),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
