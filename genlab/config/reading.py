"""Command lines by Hydra's grammar, and in a form that it reads: letters of any script, whole numbers written 1e3."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from genlab.config.hints import fits

_RUNS = tuple(
    re.compile(rf"""(["'])(?:\\.|(?!\1).)*\1|(?:\\.|\$\{{[^}}]*\}}|[^]\\[{{}}(),"'{more}])+""") for more in ("", ":=")
)
"""What stands between the signs of Hydra's grammar, and quoted texts; ":" and "=" are signs in dicts and functions."""

_ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
_DECIMAL = re.compile(r"(?<![^=,\[( ])[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![^,\]) ])")


class RequestError(ValueError):
    """An invalid request, with a line for each problem.

    rest: the request without its invalid overrides, as `genlab.config.compose.Composed`, if that can be composed.
    """

    def __init__(self, problems: Sequence[str], rest: Any = None):
        self.problems = list(dict.fromkeys(problems))
        self.rest = rest
        super().__init__("\n".join(self.problems))


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides by Hydra's grammar. `RequestError` with a line for each that cannot be parsed."""
    hydra = GlobalHydra.instance()  # inside `composing` it can expand glob(...)
    parser = OverridesParser.create(hydra.config_loader() if hydra.is_initialized() else None)
    parsed, problems = [], []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except HydraException:
            problems.append(f"{text!r}: cannot be read; write key=value, and quote special characters: 'key=\"a, b\"'")
    if problems:
        raise RequestError(problems)
    return parsed


def reads(text: str) -> bool:
    """Whether Hydra's grammar can read an override."""
    with suppress(HydraException):
        OverridesParser.create().parse_override(text)
        return True
    return False


def readable(text: str) -> str:
    """`text`, with quotes around the texts in its value that Hydra's grammar cannot read without, as ~/pics or Jürgen.
    Unchanged if that does not help."""
    key, equals, value = text.partition("=")
    tries = (text, *(key + equals + runs.sub(_quoted_if_needed, value) for runs in _RUNS))
    return next(filter(reads, tries), text)


def _quoted_if_needed(match: re.Match[str]) -> str:
    run = match[0].strip()
    if match[1] or not run or reads(f"key={run}"):
        return match[0]
    return QuotedString(_ESCAPED.sub(r"\1", run), Quote.double).with_quotes()


def with_whole_numbers(text: str, hint_of: Callable[[str], Any]) -> str:
    """An override with 1000 in the place of 1e3 and 1000.0, if `hint_of` its key takes whole numbers only."""
    key, equals, value = text.partition("=")
    if not _DECIMAL.search(value) or not takes_whole_numbers_only(hint_of(key.lstrip("+"))):
        return text
    return key + equals + _DECIMAL.sub(_whole_text, value)


def takes_whole_numbers_only(hint: Any) -> bool:
    """Whether a type holds whole numbers and no others, alone or in lists."""
    return any(fits(value, hint) for value in (1, [1])) and not any(fits(value, hint) for value in (0.5, [0.5], ""))


def _whole_text(match: re.Match[str]) -> str:
    return str(int(Decimal(match[0]))) if float(match[0]).is_integer() else match[0]


def whole(value: Any, hint: Any) -> Any:
    """`value` with whole numbers in the place of floats such as 1e3, if only so it fits a type."""
    found = _whole(value)
    return found if not fits(value, hint) and fits(found, hint) else value


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
