"""How much memory this machine has, so that what cannot fit is refused before any of it is taken."""

import os
from pathlib import Path

_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total() -> int:
    """Bytes of memory that this machine, or the container that this process runs in, has."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):  # a system that does not tell: nothing is refused
        limits = [2**63]
    for path in map(Path, _CONTAINER_LIMITS):
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit, or the word "max"
            continue
    return min(limits)


def check(needed: int, what: str, way_out: str) -> None:
    """`ValueError` where `what` needs more bytes than there are."""
    if needed > (there := total()):
        raise ValueError(f"{what} {_gib(needed)} GiB, this machine has {_gib(there)} GiB; {way_out}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
