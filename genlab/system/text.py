"""Text for people: hints at misspelt words, and text from anybody's files made safe for a terminal."""

import difflib
from collections.abc import Collection


def did_you_mean(word: str, words: Collection[str]) -> str:
    """A hint at the closest of `words`, else a list of them."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(words))}"


def printable(text: str) -> str:
    """`text` with "?" in place of control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
