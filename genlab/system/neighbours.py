"""The CPU time that other processes on this machine take."""

import multiprocessing
import os
import time
from contextlib import suppress
from pathlib import Path

from genlab.system import cores

_STATISTICS = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of a CPU in which it works: user, nice, system, interrupts, and for other virtual machines."""

NOTICEABLE = 0.25
"""Cores; less may be the system's own work, or an error of the measurement."""


class Neighbours:
    """Measures how many cores other processes take, of the `capacity` of CPUs that this process may run on.

    processes: of this run on this machine, each of which takes as much as this one.
    """

    def __init__(self, processes: int = 1):
        self.capacity, self._processes = len(cores.allowed()), processes
        self._before = self._seconds()

    def look(self) -> float:
        """Cores that others have taken since the last look; the first one counts from the construction. Ticks of 10 ms
        are counted, so that short times give errors, which may be below 0 and cancel out in a sum."""
        before, self._before = self._before, self._seconds()
        elapsed, own, busy = (now - then for now, then in zip(self._before, before, strict=True))
        counted = self._before[2] > 0
        return (busy - self._processes * own) / elapsed if counted else os.getloadavg()[0] - own / elapsed

    def _seconds(self) -> tuple[float, float, float]:
        """The time, and the CPU time of this process with its children, and of all processes; 0 if that is unknown."""
        times, tick = os.times(), os.sysconf("SC_CLK_TCK")
        own = times.user + times.system + times.children_user + times.children_system
        with suppress(OSError, ValueError):
            own += sum(_ticks_of(child.pid) for child in multiprocessing.active_children() if child.pid) / tick
        busy = 0
        with suppress(OSError, ValueError):
            names = {f"cpu{number}" for number in cores.allowed()}
            for name, *ticks in map(str.split, _STATISTICS.read_text().splitlines()):
                busy += sum(int(ticks[column]) for column in _BUSY) if name in names else 0
        return time.monotonic(), own, busy / tick


def _ticks_of(process: int) -> int:
    """CPU time of a running process and its children."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
