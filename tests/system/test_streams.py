"""Nothing that becomes of standard output or standard error ends a command."""

import io
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, redirect_stderr

import pytest
from tqdm import tqdm

from genlab.system.streams import lasting_streams

SHOWING = """
import os, sys
from genlab.system.streams import lasting_streams
with lasting_streams():
    for stream in (sys.stdout, sys.stderr):
        for _ in range(3):
            print("x" * 100_000, file=stream, flush=True)
    print("the rest waits in a buffer")
    os.write(3, b"done")
    with open("first", "w") as file:
        os.write(3, b" beyond" if file.fileno() > 3 else b" damaged")
"""


@pytest.mark.parametrize(
    "redirected", [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full 2>&1", "2>/dev/full", "| true", "2>&1 | true"]
)
def test_a_command_goes_on_and_ends_as_without(redirected, tmp_path):
    shell = f'{{ "{sys.executable}" -c "$SCRIPT" 3>&4; echo " code $?" >&4; }} {redirected}'
    reading, writing = os.pipe()
    command = f"exec 4>&{writing}; {shell}"
    subprocess.run(
        ["bash", "-c", command],
        pass_fds=[writing],
        cwd=tmp_path,
        env=os.environ | {"SCRIPT": SHOWING},
        timeout=20,
        capture_output=True,
    )
    os.close(writing)
    with os.fdopen(reading) as replies:
        assert replies.read() == "done beyond code 0\n"


@contextmanager
def piped():
    """Standard error is a pipe inside the block; gives its reading end, and the bare stream."""
    reading, writing = os.pipe()
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stream, redirect_stderr(stream):
        yield reading, stream
    os.close(reading)


def test_streams_are_put_back():
    with piped() as (reading, stream):
        with lasting_streams():
            print("seen", file=sys.stderr)
            assert sys.stderr is not stream
        assert sys.stderr is stream and os.read(reading, 100) == b"seen\n"


def test_what_is_written_without_a_buffer_is_there_at_once():
    with piped() as (reading, _), lasting_streams():
        print("half a line", end="", file=sys.stderr)
        assert os.read(reading, 100) == b"half a line"


def test_a_log_file_gets_lines_without_carriage_returns():
    with piped() as (reading, _), lasting_streams():
        with tqdm(total=3, mininterval=0, bar_format="{n}") as bar:
            bar.update()
            bar.write("between", file=sys.stderr)
            bar.update()
        print("after", file=sys.stderr)
        with tqdm(total=1, leave=False, mininterval=0, bar_format="short"):
            pass
        print("one\r\ntwo", file=sys.stderr, flush=True)
        text = os.read(reading, 10_000).decode()
    assert "\r" not in text and "\n\n" not in text
    assert list(dict.fromkeys(text.splitlines())) == ["0", "1", "between", "2", "after", "short", "one", "two"]


def test_a_full_pipe_that_does_not_block_is_waited_for():
    with piped() as (reading, stream), lasting_streams():
        os.set_blocking(stream.fileno(), False)
        found = []
        reader = threading.Timer(0.1, lambda: found.extend(os.read(reading, 2**16) for _ in range(4)))
        reader.start()
        print("x" * 2**18, file=sys.stderr, flush=True)
        reader.join(5)
    assert b"".join(found).count(b"x") >= 2**17
