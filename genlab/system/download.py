"""Downloads that end where a server stays silent."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 30.0


@contextmanager
def patient() -> Iterator[None]:
    """Connections that are opened inside the block fail after 30 seconds of silence."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
