"""The machine's side of a run, and what is written down about it."""

import os
from dataclasses import replace
from pathlib import Path

import lab
import pytest
import torch
from omegaconf import OmegaConf
from together import together

from genlab.config.compose import register
from genlab.data.fingerprint import fingerprint
from genlab.system.device import prepare, resolve

SETTINGS = lab.device_config()


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
    def train():
        prepare(replace(SETTINGS, keep_memory=True))
        return sum(float(torch.ones(2**22).sum()) for _ in range(3))

    assert together(train, 1) == [3 * 2**22]


def test_the_compiler_keeps_its_code_where_it_can(tmp_path, monkeypatch, caplog):
    for place in (tmp_path / "code", Path("/proc/code")):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(place))
        prepare(replace(SETTINGS, compile=True))
        found = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        assert found.is_dir() and (found == place) == (place.parent == tmp_path)
    (line,) = caplog.messages
    assert "/proc/code cannot be written" in line


@pytest.mark.parametrize("fast, expected", [(True, "bf16"), (False, "fp32")])
def test_recipes_take_bf16_where_the_device_multiplies_it(fast, expected, monkeypatch):
    monkeypatch.setattr("genlab.system.device.multiplies_bf16", lambda device: fast)
    register()
    OmegaConf.clear_cache(config := OmegaConf.create({"precision": "${genlab.bf16_where_fast:cpu}"}))
    assert config.precision == expected
    assert OmegaConf.create({"precision": "${genlab.bf16_where_fast:toaster}"}).precision == "fp32"


def test_fingerprint_tells_data_apart():
    def mark(model="vae", **options):
        config = lab.compose(model)
        return fingerprint(lab.loaders(config, lab.RandomExamples(lab.model_class(config), **options))[0])

    assert mark() == mark()
    assert mark()["examples"] == 96
    assert len({mark(**options)["sha256"] for options in ({}, {"size": 8}, {"model": "cyclegan", "size": 8})}) == 3
