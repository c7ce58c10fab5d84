"""Whether the threads of OpenMP spin while they wait for each other: `device.spin`.

A spinning thread sees at once that the others are ready, so that small steps are up to twice as fast. When another
process takes a core, a thread spins for one that has none to run on, and training falls to a fifth of its speed. OpenMP
reads the setting when torch is loaded. No result depends on it.
"""

import logging
import os
import sys
from collections.abc import Sequence

from genlab.system import cores
from genlab.system.neighbours import NOTICEABLE, Neighbours

log = logging.getLogger("genlab")

_POLICY = "OMP_WAIT_POLICY"
_OF_USERS = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables of the OpenMP libraries by which users choose themselves."""

_CHOSEN = "GENLAB_SPIN_CHOSEN"
"""The value of `device.spin`, and what followed from it: a variable, so that the processes of a run know it, too."""


def choose(arguments: Sequence[str], neighbours: Neighbours) -> None:
    """Set how threads wait, from a command line and what `neighbours` took meanwhile. Called before torch is loaded."""
    asked = _value(arguments, "device.spin") or "auto"
    outcome = _chosen()[1] if _is_loaded() else _set(asked, neighbours, _threads(arguments))
    os.environ[_CHOSEN] = f"{asked}:{outcome}"


def _set(asked: str, neighbours: Neighbours, threads: int) -> str:
    """Set how threads wait; returns what was chosen, and why."""
    for name in _OF_USERS:
        if not os.environ.get(name, "x").strip():  # as of an unset variable of a script; libgomp would complain
            del os.environ[name]
    if own := own_setting():
        return f"threads wait for each other as {own} says, whatever device.spin"
    others, capacity = max(0.0, neighbours.look()), neighbours.capacity
    if asked == "off" or (asked != "on" and threads > 1 and others > max(0, capacity - threads) + NOTICEABLE):
        os.environ[_POLICY] = "passive"
    reason = f"device.spin={asked}, other processes take {others:.1f} of {capacity} cores"
    return f"threads {'spin' if spins() else 'sleep'} while they wait for each other ({reason})"


def _is_loaded() -> bool:
    return "torch" in sys.modules


def _value(arguments: Sequence[str], key: str) -> str | None:
    """The value of a key on a command line, which torch cannot wait for Hydra to read."""
    found = [value for name, _, value in (text.partition("=") for text in arguments) if name.lstrip("+") == key]
    return found[-1].strip(" \"'") if found else None


def own_setting() -> str | None:
    """The user's own variable on how threads wait, None if there is none."""
    return next((f"{name}={os.environ[name]}" for name in _OF_USERS if name in os.environ), None)


def _threads(arguments: Sequence[str]) -> int:
    """Threads of all processes of a run together."""
    given = (_value(arguments, "device.threads") or "", _value(arguments, "device.processes") or "")
    threads, processes = (int(text) if text.isdecimal() else 0 for text in given)
    return threads * max(1, processes) or cores.available()


def _chosen() -> tuple[str, str]:
    default = "auto:threads wait for each other as torch has them, which was loaded before GenLab could choose"
    asked, _, outcome = os.environ.get(_CHOSEN, default).partition(":")
    return asked, outcome


def spins() -> bool:
    """Whether threads spin, as far as can be told."""
    return os.environ.get(_POLICY, "").lower() != "passive" and not any(name in os.environ for name in _OF_USERS[1:])


def report(asked: str) -> None:
    """Log what was chosen, and why. asked: `device.spin` of the run's config."""
    given, outcome = _chosen()
    ignored = asked not in ("auto", given)
    if ignored:
        outcome += f"; device.spin={asked} counts on the command line only, elsewhere set {_POLICY}=passive"
    usual = spins() and own_setting() is None and {asked, given} == {"auto"}
    log.log(logging.DEBUG if usual else logging.INFO, outcome)
