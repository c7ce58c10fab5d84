"""Logging to the console and to a run's log file, which holds every line that the console had."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from genlab.system.text import Printing, columns_of, printable, wrapped

log = logging.getLogger("genlab")

IN_FILE = {"in_file": True}
"""`extra` of a record for the log file alone: what the console shows in another way, or is not to show."""

_EARLIER: deque[logging.LogRecord] = deque(maxlen=1000)
"""What no log file has yet: a run's folder is made when its data have been read."""


class _AmongBars(logging.StreamHandler):
    """Progress bars make room for a line, and are drawn again below it. job: of a sweep, begins its lines."""

    def __init__(self, job: str = "") -> None:
        self.shared, self.job = sys.stderr, job
        super().__init__(Printing(self.shared))
        self.setFormatter(logging.Formatter(f"{job}%(message)s"))
        self.addFilter(lambda record: not hasattr(record, "in_file"))

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a run fit the terminal. Warnings are left as they are: commands in them are for pasting."""
        text = super().format(record)
        return text if record.levelno > logging.INFO else _fitting(text, self.shared)

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(self.shared):
            if self.job and self.shared.isatty():
                self.shared.write("\r\033[K")  # the bar of the sweep, which is another process's
            super().emit(record)


class _Remembering(logging.Handler):
    """Keeps lines for the log file that will be opened."""

    def emit(self, record: logging.LogRecord) -> None:
        if not any(isinstance(handler, _RunLog) for handler in log.handlers):
            plain = {"msg": record.getMessage(), "args": (), "exc_info": None}  # another process may write it
            _EARLIER.append(logging.makeLogRecord({**vars(record), **plain}))


class _RunLog(logging.FileHandler):
    """Ignores errors: on a full disk, logging tracebacks would bury the one message that matters. The file is touched
    when the first line comes."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            while _EARLIER:
                super().emit(_EARLIER.popleft())
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def log_to_console(level: int = logging.INFO, job: str = "", earlier: Iterable[logging.LogRecord] = ()) -> None:
    """Log to the current standard error from `level` on. Earlier handlers are dropped: a launcher that reuses its
    process may have replaced the stream.

    job: begins each line, where several jobs write. earlier: lines for the log file alone, see `console`.
    """
    log.handlers = [handler for handler in log.handlers if not isinstance(handler, (_AmongBars, _Remembering))]
    handler = _AmongBars(job)
    handler.setLevel(level)
    log.addHandler(handler)
    log.addHandler(_Remembering())
    log.setLevel(logging.DEBUG)
    log.propagate = False
    _EARLIER.clear()
    _EARLIER.extend(earlier)


def console() -> tuple[int, str, list[logging.LogRecord]] | None:
    """The arguments by which another process logs as this one does, and has its early lines for the log file; None if
    this process does not log to the console."""
    earlier = list(_EARLIER)
    _EARLIER.clear()
    found = (handler for handler in log.handlers if isinstance(handler, _AmongBars))
    return next(((handler.level, handler.job, earlier) for handler in found), None)


def _fitting(text: str, stream: TextIO) -> str:
    """`text` in rows that a terminal has the columns for; as it is where `stream` is none."""
    width = columns_of(stream)
    return text if width is None else "\n".join(wrapped(line, width) for line in text.split("\n"))


def report(line: str, wrap: bool = False) -> None:
    """Print a line of a command's result, which the log file has as well. wrap: in rows that fit the terminal, which
    would break a command or a path."""
    print(_fitting(line, sys.stdout) if wrap else line)
    log.info("%s", printable(line), extra=IN_FILE)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Log to `path` as well, including tracebacks of threads that die."""
    handler = _RunLog(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.DEBUG)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    before = threading.excepthook
    threading.excepthook = lambda died: log.debug("a thread died", exc_info=died.exc_value)
    try:
        yield
    finally:
        threading.excepthook = before
        log.removeHandler(handler)
        handler.close()
