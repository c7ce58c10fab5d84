"""The memory of this machine, so that requests that cannot fit are refused before allocation."""

import os
from pathlib import Path

_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total() -> int:
    """Memory in bytes of this machine, or of this process's container if that has less."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):  # unknown on this system: refuse nothing
        limits = [2**63]
    for path in map(Path, _CONTAINER_LIMITS):
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit, or the word "max"
            continue
    return min(limits)


def check(needed: int, what: str, way_out: str) -> None:
    """`ValueError` if `what` needs more bytes than there are."""
    if needed > (there := total()):
        raise ValueError(f"{what} {_gib(needed)} GiB, this machine has {_gib(there)} GiB; {way_out}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
