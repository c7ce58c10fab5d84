"""The next command that a command prints works when pasted, and uses the weights that were just used."""

import re
import shlex
import shutil

import pytest

LINES = {
    "sample": ("vae", ["num_samples=5", "format=npz"], "num_samples=5 format=npz seed=1"),
    "sample of a class": ("cgan", ["label=3", "num_samples=4"], "condition.label=3 seed=1"),
    "reconstruct": ("ae", ["num_images=4"], "genlab encode"),
}


@pytest.mark.parametrize("title", LINES)
def test_the_next_command_works_and_uses_the_same_weights(title, genlab, runs, tmp_path):
    model, settings, part = LINES[title]
    file = tmp_path / "a b" / "m.safetensors"
    file.parent.mkdir()
    shutil.copyfile(getattr(runs, model) / "checkpoints/last.safetensors", file)
    here = ["device=cpu", "device.threads=1"]
    outcome = genlab(title.split()[0], f"run={file}", "weights=raw", *settings, *here)
    assert outcome.code == 0, outcome.err
    line = re.search(r"^next +(genlab .*)$", outcome.out, re.MULTILINE)[1]
    assert all(word in line for word in part.split()) and str(file) in line and "weights=raw" in line
    program, *pasted = shlex.split(line)
    assert program == "genlab" and genlab(*pasted, *here).code == 0


@pytest.mark.parametrize(("folder", "told"), [("elsewhere", "elsewhere"), ("outputs/mine", "outputs")])
def test_tensorboard_is_started_where_the_run_is(folder, told, genlab):
    small = ["model=ae", "dataset=digits", "trainer.max_steps=1", "trainer.batch_size=8"]
    outcome = genlab("train", *small, f"hydra.run.dir={folder}", "device=cpu", "device.threads=1")
    assert f"tensorboard --logdir {told}\n" in outcome.out
