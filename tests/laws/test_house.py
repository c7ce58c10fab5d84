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
from genlab.config.options import read_option
from genlab.config.paths import config_folder

PACKAGE = Path(genlab.__file__).parent

SHARED = sorted([*(PACKAGE / "training").glob("*.py"), *(PACKAGE / "callbacks").glob("*.py")])


def test_the_shared_files_are_found():
    assert {"trainer.py", "optimization.py", "checkpoints.py", "tensorboard.py"} <= {file.name for file in SHARED}
    assert {"ae", "vae", "beta-vae"} <= set(lab.MODELS)


ENGLISH = {"made"}
"""Names of models that are words as well: code names them in quotes."""


@pytest.mark.parametrize("model", lab.MODELS)
def test_the_loop_names_no_model(model):
    target = read_option("model", model)["model"]["_target_"]
    words = {model, model.replace("-", "_"), target.split(".")[-1], target.split(".")[-2]}
    names = "|".join(f"[\"']{name}[\"']" if name in ENGLISH else re.escape(name) for name in words)
    pattern = re.compile(rf"(?<![\w-])({names})(?![\w-])", re.IGNORECASE)
    found = [
        f"{file.name}:{number}: {line.strip()}"
        for file in SHARED
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


@pytest.mark.parametrize("model", lab.MODELS)
def test_a_recipe_names_a_class_that_lives_in_a_file_of_its_name(model):
    """So nobody has to search. Several recipes may be of one class."""
    target = read_option("model", model)["model"]["_target_"]
    package, file, name = target.rsplit(".", 2)
    assert package == "genlab.models"
    assert name.lower() == file.replace("_", "")
    assert (config_folder() / "model" / f"{model}.yaml").is_file()
    assert locate("model", target).__doc__


README = (Path(__file__).parent.parent.parent / "README.md").read_text()


def example(language: str) -> str:
    """The README's code for a model of one's own, in Python or in YAML."""
    section = README.partition("## Add a model")[2].partition("\n## ")[0]
    return section.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def house(tmp_path):
    """A copy of the project with one model more, added as two files, and a way to run its command line."""
    bare = shutil.ignore_patterns("__pycache__", "configs")
    shutil.copytree(PACKAGE, tmp_path / "genlab", ignore=bare)
    shutil.copytree(config_folder(), tmp_path / "configs")
    (tmp_path / "genlab/models/toy.py").write_text(example("python"))
    (tmp_path / "configs/model/toy.yaml").write_text(example("yaml"))

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path, python


def test_a_new_model_is_the_two_files_of_the_readme(house):
    folder, python = house
    found = "import genlab.config.paths as p; print(p.__file__, *p.options('model'))"
    where, *models = python("-c", found).split()
    assert where.startswith(str(folder)) and "toy" in models

    python("-m", "genlab", "train", "model=toy", *lab.QUIET, "trainer.max_steps=5", "trainer.ema=0.9")
    (run,) = (folder / "outputs").glob("toy-digits/*")
    status = json.loads((run / "status.json").read_text())
    assert (status["status"], status["step"]) == ("finished", 5)
    assert 0 < status["final"]["validation/error"] < 1
    assert status["directions"] == {"validation/error": "min"}
    assert (run / "checkpoints/best.safetensors").is_file() and list((run / "previews").glob("*-reconstructions.png"))

    python("-m", "genlab", "reconstruct", "run=latest", "num_images=9", "device=cpu")
    assert list(run.glob("reconstructions/*/grid.png"))
