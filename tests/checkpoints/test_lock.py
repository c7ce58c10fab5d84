"""One process trains into a folder, and a lock outlives nobody."""

import json
import subprocess
import sys

import pytest

from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.lock import is_locked, locked
from genlab.checkpoints.status import state_of

OWNER = """
import sys, time
from pathlib import Path
from genlab.checkpoints.folder import RunFolder
from genlab.checkpoints.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that holds the lock of tmp_path."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_until_the_first_is_killed(owner, tmp_path):
    run = RunFolder(tmp_path)
    run.status.write_text(json.dumps({"status": "running"}))
    assert is_locked(tmp_path) and state_of(run) == "running"
    with pytest.raises(ValueError, match="another process is training into this folder"), locked(tmp_path):
        pass
    owner.kill()
    owner.wait()
    assert not is_locked(tmp_path) and state_of(run) == "killed"
    with locked(tmp_path):
        pass
    run.status.write_text(json.dumps({"status": "finished"}))
    assert state_of(run) == "finished"


@pytest.mark.parametrize("content", [None, "half", "[]", "{}"])
def test_a_folder_that_says_nothing_has_no_state(content, tmp_path):
    if content:
        (tmp_path / "status.json").write_text(content)
    assert state_of(RunFolder(tmp_path)) is None
    assert not is_locked(tmp_path)


def test_a_run_began_where_its_config_or_checkpoints_lie(tmp_path):
    (tmp_path / "train.log").touch()
    assert not RunFolder(tmp_path).holds_run
    (tmp_path / "config.yaml").touch()
    assert RunFolder(tmp_path).holds_run
