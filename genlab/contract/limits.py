"""The ranges of settings, which stand at the fields of their dataclasses. Imports nothing slow."""

from dataclasses import dataclass, field, fields
from typing import Any

from genlab.system import memory

MISSING: Any = "???"
"""OmegaConf's marker of a mandatory value; written out, so that this file does not import OmegaConf."""


@dataclass(frozen=True)
class Limits:
    """The allowed values of a key: one of the words `choices`, a `size` of memory, or a number within the bounds. None
    is always allowed. Upper bounds keep a typo, or a hostile config, from exhausting memory or time."""

    choices: tuple[str, ...] = ()
    size: bool = False
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None

    def problem(self, value: Any) -> str | None:
        """Why `value` is not allowed, None if it is."""
        if self.choices:
            return None if value in (None, *self.choices) else f"must be one of {', '.join(self.choices)}"
        if self.size and value is not None:
            return memory.problem_of_size(value)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return None
        if self.above is not None and value <= self.above:
            return f"must be greater than {self.above}"
        if self.at_least is not None and value < self.at_least:
            return f"must be at least {self.at_least}"
        if self.at_most is not None and value > self.at_most:
            return f"must be at most {self.at_most}"
        return None


def limited(default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field with `Limits`."""
    return field(default=default, metadata={"limits": Limits(**limits)})


def limits_of(schema: type, key: str) -> Limits:
    """The limits of a dotted `key` of a schema; no limits if there is no such key."""
    name, _, rest = key.partition(".")
    found = {entry.name: entry for entry in fields(schema)}.get(name)
    if found and rest and isinstance(found.default_factory, type):
        return limits_of(found.default_factory, rest)
    return found.metadata.get("limits", Limits()) if found and not rest else Limits()
