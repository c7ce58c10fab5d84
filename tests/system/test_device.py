"""The machine's side of a run, and what is written down about it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lab
import pytest
import torch
from omegaconf import OmegaConf

from genlab.config.compose import register
from genlab.runs.provenance import environment, fingerprint
from genlab.system.device import prepare, resolve

SETTINGS = lab.device_config()


def test_auto_finds_something():
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert resolve("auto").type == expected
    assert resolve("cpu") == torch.device("cpu")


def test_refuses_a_gpu_that_is_not_there():
    index = torch.cuda.device_count()
    with pytest.raises(ValueError, match=rf"device=cuda with device\.index={index}: .*; use device=cpu"):
        resolve("cuda", index)


def test_threads_and_determinism_are_set():
    prepare(replace(SETTINGS, threads=2, deterministic=True))
    assert torch.get_num_threads() == 2 and torch.are_deterministic_algorithms_enabled()
    prepare(replace(SETTINGS, processes=1000, threads=None))
    assert torch.get_num_threads() == 1 and not torch.are_deterministic_algorithms_enabled()


def test_memory_can_be_kept_and_training_goes_on():
    script = (
        "import torch, lab; from genlab.system.device import prepare\n"
        "prepare(lab.device_config(keep_memory=True))\n"
        "print(sum(float(torch.ones(2**22).sum()) for _ in range(3)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(lab.__file__).parent
    )
    assert ended.stdout.strip() == str(3.0 * 2**22), ended.stderr


@pytest.mark.parametrize("fast, expected", [(True, "bf16"), (False, "fp32")])
def test_recipes_take_bf16_where_the_device_multiplies_it(fast, expected, monkeypatch):
    monkeypatch.setattr("genlab.system.device.multiplies_bf16", lambda device: fast)
    register()
    OmegaConf.clear_cache(config := OmegaConf.create({"precision": "${genlab.bf16_where_fast:cpu}"}))
    assert config.precision == expected
    assert OmegaConf.create({"precision": "${genlab.bf16_where_fast:toaster}"}).precision == "fp32"


def test_fingerprint_tells_data_apart():
    def mark(requires=frozenset({"image"}), **options):
        source = lab.RandomImages(requires, **options)
        return fingerprint(lab.loaders(lab.compose("vae"), source)[0])

    assert mark() == mark()
    assert mark()["examples"] == 96
    assert mark()["sha256"] != mark(size=8)["sha256"] != mark(frozenset({"a", "b"}), size=8)["sha256"]


def test_environment_is_a_record():
    record = environment(lab.CPU, lab.trainer(lab.compose("vae")).train_loader)
    assert torch.__version__.startswith(record["packages"]["torch"]) and record["device"] == "cpu"
    assert record["data"]["examples"] == 96 and record["command"] == ["pytest"]
    assert record["git"] is None or len(record["git"]["commit"]) == 40
