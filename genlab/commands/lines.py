"""Commands for users to paste, quoted for Hydra's override grammar and for the shell."""

from contextlib import suppress
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from genlab.system.text import shell_line


def command_line(command: str, **keys: Any) -> str:
    """A command to paste, such as `genlab sample run=outputs/a seed=3`."""
    return shell_line("genlab", command, *(f"{key}={text_of(value)}" for key, value in keys.items()))


def text_of(value: Any) -> str:
    """A value in the override grammar; a text stays a text, whatever it looks like."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{','.join(text_of(entry) for entry in value)}]"
    return quoted(str(value), text=isinstance(value, str))


def quoted(value: str, text: bool = False) -> str:
    """A value in a form that the override grammar parses back to it, quoted if necessary.

    text: whether "3" and "null" must stay texts.
    """
    with suppress(HydraException):
        read = OverridesParser.create().parse_override(f"key={value}").value()
        if str(read) == value and "${" not in value and (isinstance(read, str) or not text):
            return value
    return QuotedString(value, Quote.double).with_quotes().replace("${", "\\${")  # ${ would start an interpolation
