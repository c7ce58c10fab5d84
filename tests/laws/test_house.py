"""The measure of the design: the loop knows no model, and a model is two files."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lab
import pytest

import genlab
from genlab.config.check import locate
from genlab.config.paths import config_folder

PACKAGE = Path(genlab.__file__).parent

SHARED = sorted([*(PACKAGE / "training").glob("*.py"), *(PACKAGE / "callbacks").glob("*.py")])


def test_the_shared_files_are_found():
    assert {"trainer.py", "run.py", "checkpoints.py", "tensorboard.py"} <= {file.name for file in SHARED}
    assert {"ae", "vae", "beta-vae"} <= set(lab.MODELS)


@pytest.mark.parametrize("model", lab.MODELS)
def test_the_loop_names_no_model(model):
    target = lab.compose(model).model._target_
    words = {model, model.replace("-", "_"), target.split(".")[-1], target.split(".")[-2]}
    pattern = re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, words)) + r")(?![\w-])", re.IGNORECASE)
    found = [
        f"{file.name}:{number}: {line.strip()}"
        for file in SHARED
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


@pytest.mark.parametrize("model", lab.MODELS)
def test_a_model_lives_in_its_own_file(model):
    """Class and file carry the model's name, so that nobody has to search."""
    target = lab.compose(model).model._target_
    package, file, name = target.rsplit(".", 2)
    assert package == "genlab.models"
    assert file == model.replace("-", "_")
    assert name.lower() == model.replace("-", "")
    assert (config_folder() / "model" / f"{model}.yaml").is_file()
    assert locate("model", target).__doc__


TOY = '''"""The mean image: the smallest model there can be."""

import torch

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Update


class Toy(GenerativeModel):
    """x ~ N(mean, deviation^2)."""

    averaged = ("network",)
    metrics = {"error": "min"}

    def __init__(self, data: DataSpec, *, deviation: float = 0.1):
        super().__init__(data)
        self.deviation = deviation
        self.network = torch.nn.Linear(1, torch.Size(data.shape).numel())

    def mean(self, rows: int) -> torch.Tensor:
        return self.network(torch.ones(rows, 1)).unflatten(1, self.data.shape).sigmoid()

    def training_step(self, batch: Batch, step: int):
        yield Update("model", (self.mean(batch.size) - batch["image"]).square().sum((1, 2, 3)).mean())

    def sample(self, num_samples: int, label=None) -> torch.Tensor:
        mean = self.mean(num_samples)
        return (mean + self.deviation * torch.randn(mean.shape)).clamp(0, 1)

    def evaluate(self, batch: Batch):
        return {"error": (self.mean(batch.size) - batch["image"]).square().mean()}

    def preview(self, batch: Batch):
        return {"samples": self.sample(4)[None]}
'''

TOY_YAML = """# @package _global_
# Mean image
model:
  _target_: genlab.models.toy.Toy
  deviation: 0.1   # of a pixel
"""


@pytest.fixture
def house(tmp_path):
    """A copy of the project with one model more, added as two files, and a way to run its command line."""
    bare = shutil.ignore_patterns("__pycache__", "configs")
    shutil.copytree(PACKAGE, tmp_path / "genlab", ignore=bare)
    shutil.copytree(config_folder(), tmp_path / "configs")
    (tmp_path / "genlab/models/toy.py").write_text(TOY)
    (tmp_path / "configs/model/toy.yaml").write_text(TOY_YAML)

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path, python


def test_a_new_model_is_two_files(house):
    folder, python = house
    found = "import genlab.config.compose as c; print(c.__file__, *c.options('model'))"
    assert str(folder) in python("-c", found) and "toy" in python("-c", found).split()

    python("-m", "genlab", "train", "model=toy", *lab.QUIET, "trainer.max_steps=5", "trainer.ema=0.9")
    (run,) = (folder / "outputs").glob("toy-digits/*")
    status = json.loads((run / "status.json").read_text())
    assert (status["status"], status["step"]) == ("finished", 5)
    assert 0 < status["final"]["validation/error"] < 1
    assert (run / "checkpoints/best.pt").is_file() and list((run / "previews").glob("*-samples.png"))

    python("-m", "genlab", "sample", "run=latest", "num_samples=9", "device=cpu")
    assert list(run.glob("samples/*/grid.png"))
