"""Text for users: hints for misspelt words, and untrusted text made safe for a terminal, a plot and a shell."""

import difflib
import os
import re
import shlex
from collections.abc import Collection
from contextlib import suppress
from typing import Any, TextIO

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
"""A number as a name."""

_LONG = 1e8  # from here on a number has an exponent

_INDENT = 11 * " "
"""Below the label that begins a line, as in `model      vae`."""


def did_you_mean(word: str, words: Collection[str]) -> str:
    """A hint that names the closest of `words`, or all of them if none is close."""
    return closest(word, words) or f"there are: {', '.join(sorted(words))}"


def closest(word: str, words: Collection[str]) -> str:
    """A hint that names the closest of `words`; empty if none is close."""
    written = {name.lower(): name for name in words}
    close = difflib.get_close_matches(word.lower(), written, n=1)
    return f"did you mean {written[close[0]]!r}?" if close else ""


def printable(text: str) -> str:
    """`text` with control characters, which a terminal would interpret, and bytes that are no text replaced by "?"."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def shortened(text: str, width: int) -> str:
    """`text`, printable, and cut to `width` letters."""
    text = printable(text)
    return text if len(text) <= width else text[: width - 3] + "..."


def shell_word(text: str) -> str:
    """`text` quoted for a shell; what cannot be printed as $'...' with its bytes, which bash and zsh read."""
    if text.isprintable():
        return shlex.quote(text)
    parts = (
        "\\" + letter
        if letter in "\\'"
        else letter
        if letter.isprintable()
        else "".join(f"\\{byte:03o}" for byte in letter.encode(errors="surrogateescape"))
        for letter in text
    )
    return f"$'{''.join(parts)}'"


def shell_line(*words: str) -> str:
    """A command to paste into a shell."""
    return " ".join(map(shell_word, words))


class Printing:
    """A stream for people: what it is given is printable, whatever names hold, and whatever the stream can encode."""

    def __init__(self, stream: Any):
        self.stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        return self.stream.write("\n".join(map(printable, text.split("\n"))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def natural_order(names: Collection[str]) -> list[str]:
    """`names` sorted as people count: by value if all are numbers, else with the digits in them taken as numbers."""
    if all(map(NUMBER.fullmatch, names)):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names, key=lambda name: ([int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", name)], name))


def size_in_words(nbytes: int) -> str:
    """A number of bytes, as in 3.4 MiB."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if nbytes >= factor:
            return f"{nbytes / factor:.1f} {unit}"
    return f"{nbytes} bytes"


def rounded(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, or all that stand before its point: 0.0123, 123, 19996, 1.2e+09."""
    return f"{value:.0f}" if 10**digits - 0.5 <= abs(value) < _LONG else f"{value:.{digits}g}"


def columns_of(stream: TextIO) -> int | None:
    """Columns of the terminal that `stream` writes to; None if it is no terminal, or does not tell."""
    with suppress(OSError, ValueError, AttributeError):
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns or None
    return None


def wrapped(line: str, width: int) -> str:
    """`line` in rows of at most `width` columns, those after the first indented as far as the text beside a label.

    A row ends between two words; where values stand two spaces apart, between two of these. No word is broken.
    """
    gap = "  " if len(re.findall(r"(?<=\S)  (?=\S)", line)) > 1 else " "
    first, *others = re.split(rf"(?<=\S){gap}(?=\S)", line)
    rows = [first]
    for part in others:
        if len(rows[-1]) + len(gap) + len(part) <= width:
            rows[-1] += gap + part
        else:
            rows.append(_INDENT + part)
    return "\n".join(rows)


def time_in_words(seconds: float) -> str:
    """A duration, as in 2 h 5 min."""
    minutes, hours = round(seconds / 60), round(seconds) // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if seconds >= 60 else f"{round(seconds)} s"
