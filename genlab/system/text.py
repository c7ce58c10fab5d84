"""Text for users: hints for misspelt words, and untrusted text made safe for a terminal."""

import difflib
from collections.abc import Collection


def did_you_mean(word: str, words: Collection[str]) -> str:
    """A hint that names the closest of `words`, or all of them if none is close."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(words))}"


def printable(text: str) -> str:
    """`text` with control characters, which a terminal would interpret, replaced by "?"."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
