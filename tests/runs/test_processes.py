"""Several processes of one run, on a real command line: one that dies, torchrun, and what comes after."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lab
import pytest

from genlab.checkpoints import file as checkpoint

SETTINGS = ["dataset=digits", "network.hidden=[16]", "trainer.batch_size=32", "trainer.max_steps=400"]
SETTINGS += ["trainer.log_every=7", "trainer.checkpoint_every=50", "trainer.validate_every=40", *lab.QUIET]
SETTINGS += ["trainer.preview_every=null"]

TORCHRUN = ["torch.distributed.run", "--nproc-per-node", "2", "-m"]


def start(*arguments: str, tool: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [sys.executable, "-m", *tool, "genlab", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


def finish(*arguments: str, tool: tuple[str, ...] = ()) -> tuple[int, str, str]:
    process = start(*arguments, tool=tool)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def ranks(command: int) -> list[int]:
    """Process ids of a command's processes in their order; it has another child, which multiprocessing keeps."""
    return [child for child in children(command) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def after_a_checkpoint(folder: Path, process: subprocess.Popen) -> None:
    while not (folder / "checkpoints/last.safetensors").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def state_of(folder: Path) -> tuple[dict, str]:
    state = checkpoint.load(folder / "checkpoints/last.safetensors")
    kept = {name: state[name] for name in ("step", "model", "optimizer", "ema", "metric_window")}
    return kept, (folder / "metrics.jsonl").read_text()


def assert_same_run(folder: Path, other: Path) -> None:
    (one, rows), (two, other_rows) = state_of(folder), state_of(other)
    assert not list(lab.differences(one, two))
    assert rows == other_rows


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """A run of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    code, _, err = finish("train", *SETTINGS, "device.processes=2", f"hydra.run.dir={folder}")
    assert code == 0, err
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [0, 1])
def test_where_one_is_killed_the_run_ends_tells_why_and_goes_on(number, unbroken, tmp_path):
    folder = tmp_path / "run"
    command = start("train", *SETTINGS, "device.processes=2", f"hydra.run.dir={folder}")
    after_a_checkpoint(folder, command)
    both = ranks(command.pid)
    os.kill(both[number], signal.SIGKILL)
    killed = time.monotonic()
    _, err = command.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert command.returncode == 1
    assert not any(Path(f"/proc/{process}").exists() for process in both)
    (first,) = [line for line in err.splitlines() if line.startswith("genlab: ")]
    assert first.startswith(f"genlab: process {number} of the run was ended by SIGKILL")
    assert "Traceback" not in err
    status = json.loads((folder / "status.json").read_text())
    assert status["status"] == "failed" and "SIGKILL" in status["reason"]
    code, _, err = finish("resume", f"run={folder}")
    assert code == 0, err
    assert_same_run(folder, unbroken)


@pytest.mark.slow
def test_torchrun_trains_the_same_run_and_speaks_once(unbroken, tmp_path):
    folder = tmp_path / "run"
    tool = tuple(TORCHRUN)
    code, out, err = finish("train", *SETTINGS, f"hydra.run.dir={folder}", tool=tool)
    assert code == 0, err
    assert out.count("final ") == 1 and err.count(f"run        {folder}") == 1
    assert_same_run(folder, unbroken)

    code, _, err = finish("train", *SETTINGS, f"hydra.run.dir={folder}", tool=tool)
    assert code != 0 and err.count("holds a run already") == 1

    code, out, err = finish("resume", f"run={folder}", tool=tool)
    assert code == 0 and out.count("finished   at step 400") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_torchrun_starts_again_from_the_last_checkpoint(unbroken, tmp_path):
    folder = tmp_path / "run"
    tool = (*TORCHRUN[:-1], "--max-restarts", "2", "-m")
    command = start("train", *SETTINGS, f"hydra.run.dir={folder}", tool=tool)
    after_a_checkpoint(folder, command)
    os.kill(children(command.pid)[-1], signal.SIGKILL)
    _, err = command.communicate(timeout=120)
    assert command.returncode == 0, err
    assert "resumed    at step" in err
    assert_same_run(folder, unbroken)
