"""The memory of this machine, so that requests that cannot fit are refused before allocation; sizes in bytes."""

import os
import re
from pathlib import Path

_SMALLEST_BUDGET = 2**20

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


def size_of(text: str) -> int | None:
    """Bytes that a text means: 2GiB, 500MB, 1.5G (a power of 2), or a plain number; None if it is no size."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+(?:e\+?[0-9]{1,2})?) *([kmgt]?)(i?b?)", text.strip().lower())
    if not found:
        return None
    number, prefix, unit = found.groups()
    return int(float(number) * (1000 if unit == "b" else 1024) ** " kmgt".index(prefix or " "))


def problem_of_size(text: str) -> str | None:
    """Why `text` cannot be a budget, None if it can."""
    enough = (size_of(str(text)) or 0) >= _SMALLEST_BUDGET
    return None if enough else "must be a size of memory of 1MiB or more, as in 512MiB or 2GiB"


def budget(text: str | None, device_memory: int | None = None) -> int:
    """Bytes of `device.memory_budget`. By default a 32nd of the memory of a GPU, or 32 MiB on a CPU, which more makes
    slower: its caches hold no more. The load of the machine does not count: results must not depend on it."""
    asked = None if text is None else size_of(text)
    return asked or (device_memory // 32 if device_memory else 2**25)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
