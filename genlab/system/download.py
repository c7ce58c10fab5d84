"""Downloads that fail if the server stops responding."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 30.0


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Connections opened inside the block fail after 30 seconds without data."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
