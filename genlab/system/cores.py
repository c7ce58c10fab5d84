"""How many CPU cores this process may use, so that its threads never outnumber them."""

import os
from math import ceil, inf
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_OLD_QUOTA, _OLD_PERIOD = (Path(f"/sys/fs/cgroup/cpu/cpu.cfs_{kind}_us") for kind in ("quota", "period"))
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def available() -> int:
    """Physical cores that this process may run on: those of its affinity mask, at most what its container's quota
    pays for. Two hardware threads of a core count once: they share the units that multiply matrices."""
    cores = len({_siblings(cpu) for cpu in _allowed()})
    return max(1, ceil(min(cores, _quota())))


def _allowed() -> list[int]:
    """Numbers of the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    """What names the core that a logical CPU is part of; a system that does not tell has one for each."""
    try:
        return Path(_TOPOLOGY.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> float:
    """CPU seconds that the container may use in a second; infinite without a limit."""
    try:
        if _QUOTA.exists():
            quota, period = _QUOTA.read_text().split()
        else:
            quota, period = _OLD_QUOTA.read_text(), _OLD_PERIOD.read_text()
        return int(quota) / int(period) if int(quota) > 0 else inf
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or the word "max"
        return inf
