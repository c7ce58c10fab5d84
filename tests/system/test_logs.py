"""A run's log file has every line that the console had, and nothing breaks it."""

import fcntl
import logging
import os
import pty
import re
import struct
import sys
import termios

import pytest

from genlab.system import logs
from genlab.system.logs import IN_FILE, console, log_to_console, log_to_file, report

log = logging.getLogger("genlab")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.log"


def lines(path):
    return [re.fullmatch(r"[\d-]+ [\d:,]+ [A-Z]+ (.*)", line)[1] for line in path.read_text().splitlines()]


def test_the_file_has_what_was_said_before_it_and_what_is_printed(path, capsys):
    log_to_console()
    log.warning("data: %d files left out", 3)
    with log_to_file(path):
        assert not path.exists(), "a run that is refused leaves its folder as it was"
        log.info("first")
        log.info("quiet", extra=IN_FILE)
    with log_to_file(path):
        report("final      1")
    assert lines(path) == ["data: 3 files left out", "first", "quiet", "final      1"]
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["data: 3 files left out", "first"] and captured.out == "final      1\n"


def test_another_process_goes_on_with_the_lines_for_the_file(path, capsys):
    log_to_console(logging.WARNING, "job 3: ")
    log.info("early")
    handed = console()
    log_to_console(*handed)
    with log_to_file(path):
        log.warning("alarm")
    assert lines(path) == ["early", "alarm"] and capsys.readouterr().err == "job 3: alarm\n"


def test_a_folder_that_is_not_there_costs_the_file_alone(tmp_path, capsys):
    log_to_console()
    with log_to_file(tmp_path / "nowhere/train.log"):
        log.info("said")
    assert capsys.readouterr().err == "said\n"


def test_no_run_has_the_lines_of_another_console(path):
    log_to_console()
    log.info("of another")
    log_to_console()
    with log_to_file(path):
        log.info("own")
    assert lines(path) == ["own"] and not logs._EARLIER


def test_lines_fit_the_terminal_and_the_file_has_them_whole(path, monkeypatch):
    keeper, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        log_to_console()
        said = "data       digits: 1617 for training, 180 for validation", f"genlab resume run={40 * 'x'} to go on"
        with log_to_file(path):
            log.info(said[0])
            log.warning(said[1])
        stream.flush()
        shown = os.read(keeper, 1000).decode().splitlines()
    os.close(keeper)
    assert shown == ["data       digits: 1617 for training,", "           180 for validation", said[1]]
    assert lines(path) == list(said)
