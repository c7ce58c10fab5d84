"""Where GenLab runs: Linux; macOS, of which this simulates what differs; not on Windows, which one line says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

LIKE_MACOS = """
import builtins, io, multiprocessing, os

del os.sched_getaffinity
for name in ("sched_setaffinity", "posix_fadvise", "memfd_create", "pipe2", "setresuid", "copy_file_range"):
    if hasattr(os, name):
        delattr(os, name)
honest_open = io.open

def open_(path, *arguments, **settings):
    if str(path).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return honest_open(path, *arguments, **settings)

io.open = builtins.open = open_

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from genlab.cli import main
    main()
"""
"""Neither /proc nor /sys nor masks of CPUs, and processes are spawned. Those run the first part of this as well."""


def python(*arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def test_windows_is_told_in_one_line_to_use_wsl(tmp_path):
    for use in ("from genlab.cli import main; main(['train'])", "import genlab; genlab.train()"):
        done = python("-c", f"import sys; sys.platform = 'win32'; {use}", folder=tmp_path)
        assert done.returncode != 0 and done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert "Windows" in line and "WSL" in line


@pytest.mark.slow
def test_a_run_needs_nothing_of_linux_alone_and_spawns_its_processes(tmp_path):
    """Images are decoded by worker processes, and two processes train; then the run is resumed and sampled."""
    (tmp_path / "IMAGES").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)):
        Image.fromarray(pixels).save(tmp_path / f"IMAGES/{number}.png")
    program = tmp_path / "program.py"
    program.write_text(LIKE_MACOS)
    data = ["dataset=image-folder", "dataset.path=IMAGES", "dataset.size=16"]
    data += ["loader.storage=stream", "loader.workers=1"]
    small = ["network.hidden=[16]", "trainer.batch_size=8", "trainer.max_steps=3", "device=cpu", "device.threads=1"]
    lines = [
        ["train", *data, *small, "hydra.run.dir=run"],
        ["resume", "run=run", "trainer.max_steps=4", "device.processes=2"],
        ["sample", "run=run", "num_samples=4", "device=cpu"],
    ]
    for line in lines:
        done = python(program, *line, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["status"], status["step"]) == ("finished", 4)
