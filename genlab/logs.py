"""Where the log is shown, and what text from anybody's files looks like on a terminal."""

import logging


def log_to_console(level: int = logging.INFO) -> None:
    """Show the log from `level` on, on what is standard error now: a launcher that reuses its process may have changed
    it."""
    logger = logging.getLogger("genlab")
    logger.handlers = [handler for handler in logger.handlers if type(handler) is not logging.StreamHandler]
    handler = logging.StreamHandler()
    handler.setLevel(level)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
