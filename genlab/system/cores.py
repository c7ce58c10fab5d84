"""The number of CPU cores this process may use: the upper limit for its threads."""

import os
from math import ceil, inf
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_OLD_QUOTA, _OLD_PERIOD = (Path(f"/sys/fs/cgroup/cpu/cpu.cfs_{kind}_us") for kind in ("quota", "period"))
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def available() -> int:
    """Physical cores in this process's affinity mask, at most its container's CPU quota. Two hardware threads of a core
    count once: they share its matrix units."""
    cores = len({_siblings(cpu) for cpu in allowed()})
    return max(1, ceil(min(cores, _quota())))


def allowed() -> list[int]:
    """Indices of the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    """Identifies the core of a logical CPU. Without topology information each logical CPU counts as a core."""
    try:
        return Path(_TOPOLOGY.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> float:
    """CPU seconds per second that the container may use; infinite without a limit."""
    try:
        if _QUOTA.exists():
            quota, period = _QUOTA.read_text().split()
        else:
            quota, period = _OLD_QUOTA.read_text(), _OLD_PERIOD.read_text()
        return int(quota) / int(period) if int(quota) > 0 else inf
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or the word "max"
        return inf
