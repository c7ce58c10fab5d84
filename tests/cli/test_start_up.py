"""A run begins at once: what takes long to import waits until it is used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"

SLOW = ("torchvision", "tensorboard", "sklearn", "scipy", "matplotlib", "torch._dynamo", "torch._inductor", "onnx")

FIRST_STEP = """
import sys
from genlab import cli
from genlab.training.trainer import Trainer

make_step = Trainer.train_step


def first(trainer, batch):
    make_step(trainer, batch)
    print("imported:", *sorted({name for name in SLOW if name in sys.modules}))
    sys.stdout.flush()
    raise KeyboardInterrupt


Trainer.train_step = first
cli.main(["train", "network.hidden=[8]", "device.threads=1", "logger.console=false", *sys.argv[1:]])
"""


def imported(*arguments):
    script = f"SLOW = {SLOW!r}\n{FIRST_STEP}"
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120)
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("imported:")]
    return line.split()[1:]


def test_the_first_step_comes_before_slow_imports(tmp_path):
    assert imported(f"output_dir={tmp_path}") == []


@pytest.mark.parametrize("command", ["train", "sample", "list", "compare", "resume"])
def test_a_working_folder_that_is_gone_is_said_so(command, genlab, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getcwd", lambda: os.stat(tmp_path / "nowhere"))
    outcome = genlab(command)
    assert outcome.code == 2 and outcome.lines == [
        "genlab: the working folder cannot be read (No such file or directory); go to another one, as by cd ~"
    ]


@pytest.mark.parametrize("script", ["genlab", "bench", "faults", "test"])
def test_the_scripts_work_by_way_of_symbolic_links(script, tmp_path):
    checkout = tmp_path / "check out"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPTS / script, checkout / "scripts")
    (checkout / "scripts/setup.sh").write_text('setup() { echo "$1"; exit 0; }')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/first").symlink_to(f"../check out/scripts/{script}")
    (tmp_path / "bin" / f"my-{script}").symlink_to("first")
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run([f"my-{script}"], cwd="/", env=environment, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == (f"{checkout}\n", "")
