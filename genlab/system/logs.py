"""Logging to the console and to a run's log file."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from genlab.system.text import Printing

log = logging.getLogger("genlab")


class _AmongBars(logging.StreamHandler):
    """Progress bars make room for a line, and are drawn again below it."""

    def __init__(self) -> None:
        self.shared = sys.stderr
        super().__init__(Printing(self.shared))

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(self.shared):
            super().emit(record)


def log_to_console(level: int = logging.INFO) -> None:
    """Log to the current standard error from `level` on. Earlier handlers are dropped: a launcher that reuses its
    process may have replaced the stream."""
    log.handlers = [handler for handler in log.handlers if not isinstance(handler, _AmongBars)]
    handler = _AmongBars()
    handler.setLevel(level)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False


class _Quiet(logging.FileHandler):
    """Ignores write errors: on a full disk, logging tracebacks would bury the one message that matters."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Log to `path` as well, including tracebacks of threads that die."""
    handler = _Quiet(path, encoding="utf-8", errors="backslashreplace", delay=True)
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
