"""A run begins at once: what takes long to import waits until it is used."""

import subprocess
import sys

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
