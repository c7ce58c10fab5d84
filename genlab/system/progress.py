"""How far something is that takes long: a bar on a terminal, elsewhere a line of the log from time to time."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from genlab.system.text import time_in_words

T = TypeVar("T")

log = logging.getLogger("genlab")

SECONDS, _SHARE = 10.0, 1 / 50
"""Time between two lines: so many seconds, later this share of the time so far, so that a long log stays short."""


class Pace:
    """How fast something goes on that has done `first` of `total` now."""

    def __init__(self, total: float, first: float = 0.0):
        self.total, self.first = total, first
        self.begin = self.told = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self.begin

    def rate(self, done: float) -> float:
        """Mean speed per second; 0 if nothing has been done yet."""
        return (done - self.first) / max(self.seconds, 1e-9)

    def left(self, done: float) -> str:
        """The time left at this speed, as in "3 min left"."""
        rate = self.rate(done)
        return f"{time_in_words((self.total - done) / rate)} left" if rate > 0 else "time left unknown"

    def share(self, done: float) -> str:
        """What has been done of all, in percent."""
        return f"{100 * done / max(self.total, 1e-9):.0f} %"

    def is_due(self) -> bool:
        """Whether a line is to be told now."""
        now = time.monotonic()
        if now - self.told < max(SECONDS, _SHARE * (now - self.begin)):
            return False
        self.told = now
        return True


@contextmanager
def progress(what: str, total: int, shown: bool = True) -> Iterator[Callable[[int], object]]:
    """Show how far `what` is in the block; gives the function that counts on, by any number. shown: False for none."""
    if not shown:
        yield lambda count: None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=what, leave=False, dynamic_ncols=True) as bar:
            yield bar.update
    else:
        pace, done = Pace(total), 0

        def count_on(count: int) -> None:
            nonlocal done
            done += count
            if pace.is_due():
                log.info("%s %d/%d  %s  %s", what, done, total, pace.share(done), pace.left(done))

        yield count_on


def followed(parts: Iterable[T], what: str, total: int, shown: bool = True) -> Iterator[T]:
    """`parts`, of which there are `total`, with their progress."""
    with progress(what, total, shown) as count_on:
        for part in parts:
            yield part
            count_on(1)
