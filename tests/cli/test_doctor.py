"""`genlab doctor` says what there is and what is wrong, and breaks over nothing."""

import importlib
import re
import subprocess
import sys
from importlib import metadata

import pytest

from genlab.commands import doctor
from genlab.system import plugins, requirements


@pytest.fixture
def quick(monkeypatch):
    """Imports nothing to find out whether it can be imported."""
    monkeypatch.setattr(requirements, "broken", lambda wanted: iter(()))


def test_everything_in_order(genlab, tmp_path, quick, monkeypatch):
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name in files:
        (tmp_path / "data/MNIST/raw").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"data/MNIST/raw/{name}-ubyte").touch()
    (tmp_path / "data/binarized_mnist").mkdir()
    (tmp_path / "data/binarized_mnist/binarized_mnist_test.amat").touch()
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    outcome = genlab("doctor")
    assert outcome.code == 0 and outcome.err == "", outcome
    assert re.search(r"^problems +none$", outcome.out, re.MULTILINE)
    for part in (
        "device=auto takes",
        "threads",
        "bf16",
        "memory",
        "binarized-mnist, mnist found",
        "cifar10",
        "cache",
        "outputs",
        "GiB",
    ):
        assert part in outcome.out
    assert all(f"{name} {metadata.version(name)}" in outcome.out for name in ("torch", "torchvision", "numpy"))
    assert max(map(len, outcome.out.splitlines())) <= 80 or str(tmp_path) in outcome.out
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_problems_name_the_way_out(genlab, tmp_path, quick, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(requirements, "missing", lambda wanted: "is not installed" if wanted.name == "scipy" else None)
    monkeypatch.setattr(doctor, "_LEAST_FREE", 2**70)
    monkeypatch.setattr(plugins, "installed", lambda: (plugins.Plugin("mine", "no_such.module", "numpy"),))
    outcome = genlab("doctor", "data_dir=file", "output_dir=outputs")
    problems = [line for line in outcome.out.splitlines() if line.startswith("problem  ")]
    assert outcome.code == 1 and len(problems) == 4, outcome
    for part in ("pip install 'scipy", "data_dir=file", "output_dir=outputs", "no module no_such.module"):
        assert any(part in line for line in problems), part
    assert "output_dir=file: cannot write in file" in genlab("doctor", "output_dir=file").out


def test_an_extra_that_is_not_there_is_told_with_its_command(genlab, quick, monkeypatch):
    monkeypatch.setattr(requirements, "missing", lambda wanted: "gone" if "onnx" in wanted.name else None)
    outcome = genlab("doctor")
    assert outcome.code == 0 and "pip install 'genlab[onnx]' (for onnx, onnx" in outcome.out
    assert re.search(r"^extras .*inception", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("name", ["torch", "genlab.config.options", "genlab.system.requirements", "genlab.data.cache"])
def test_a_broken_package_is_a_problem_and_hides_no_other_section(name, genlab, quick, monkeypatch):
    def load(module):
        if module == name:
            raise RuntimeError("operator torchvision::nms does not exist\nmore")
        return importlib.import_module(module)

    monkeypatch.setattr(doctor, "_load", load)
    outcome = genlab("doctor")
    assert outcome.code == 1 and "nms does not exist more" in outcome.out and "Traceback" not in outcome.out
    assert re.search("^python ", outcome.out, re.MULTILINE)


def test_it_works_without_hydra(tmp_path):
    (tmp_path / "hydra").mkdir()
    (tmp_path / "hydra/__init__.py").write_text("raise ImportError('broken hydra')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from genlab.cli import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 1 and done.stderr == ""
    assert "package hydra-core cannot be imported (ImportError: broken hydra)" in done.stdout
