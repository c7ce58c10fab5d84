"""`genlab.train` from Python: in this process, in a thread, in a running event loop; nothing of it stays behind."""

import asyncio
import io
import json
import logging
import sys
import threading

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import genlab
from genlab.commands.python import _lines
from genlab.config.compose import parse

SHORT = {
    "max_steps": 3,
    "batch_size": 8,
    "model": {"latent_dim": np.int64(3)},
    "network.hidden": [16],
    "device": {"name": "cpu", "threads": 1},
    "logger.tensorboard": False,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def state_of_process():
    settings = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), sys.argv)
    precision = (torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.allow_tf32)
    denormals = (torch.tensor([1e-310], dtype=torch.float64) * 1).any().item()
    log = logging.getLogger("genlab")
    return *settings, precision, denormals, (list(log.handlers), log.propagate), GlobalHydra.instance().hydra


def test_gives_the_loaded_run_and_leaves_the_process_as_it_was():
    torch.manual_seed(7)
    before, random = state_of_process(), torch.get_rng_state()
    run = genlab.train("model=ae", "dataset=digits", seed=5, **SHORT)
    assert state_of_process() == before and torch.equal(torch.get_rng_state(), random)
    assert (run.step, run.config.choices.model, run.config.seed) == (3, "ae", 5)
    assert run.config.network["hidden"] == [16] and run.config.model["latent_dim"] == 3
    assert run.reconstruct(torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)
    command = json.loads((run.folder / "environment.json").read_text())["command"]
    assert command[:3] == ["genlab", "train", "model=ae"] and "trainer.max_steps=3" in command


def test_works_in_a_thread_and_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # no terminal, no file descriptor
    monkeypatch.delattr(sys, "argv")
    runs = []

    async def cell():
        thread = threading.Thread(target=lambda: runs.append(genlab.train(**SHORT)))
        thread.start()
        thread.join(60)
        runs.append(genlab.train(**SHORT))

    asyncio.run(cell())
    assert [run.step for run in runs] == [3, 3]
    for one, other in zip(runs[0].model.parameters(), runs[1].model.parameters(), strict=True):
        assert torch.equal(one, other), "the seed alone decides"
    assert not hasattr(sys, "argv")


@pytest.mark.parametrize(
    "overrides, settings, parts",
    [
        (["model=vea"], {"lr": 1}, ["model=vea", "'vae'", "lr=1", "has no key 'lr'"]),
        ([], {"max_steps": "few"}, ["trainer.max_steps", "a whole number"]),
        ([], {"device": {"processes": 2}}, ["device.processes=2", "command line"]),
        (["-m", "seed=0,1"], {}, ["'-m'", "command line"]),
        ([], {"seed": object()}, ["seed=", "must be a number"]),
        ([], {"dataset": "image-folder", "dataset.path": "no, such=${x}"}, ["dataset.path=no, such=${x}"]),
    ],
)
def test_mistakes_are_those_of_the_command_line(tmp_path, overrides, settings, parts):
    with pytest.raises(ValueError) as error:
        genlab.train(*overrides, **settings)
    assert all(part in str(error.value) for part in parts), error.value
    assert not list(tmp_path.iterdir())


def test_one_training_at_a_time_and_none_under_torchrun(monkeypatch):
    from genlab.commands import python

    with python._TRAINING, pytest.raises(ValueError, match="another thread"):
        genlab.train()
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match="torchrun"):
        genlab.train()


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 1e-3, "3", "null", "a, b=[c]", 'it\'s "so" \\', "", [1, "two", None], [[1], []], "text "],
)
def test_a_value_arrives_as_it_is(value):
    (override,) = parse([*_lines({"key": value})])
    assert plain(override.value()) == value


def plain(value):
    return [plain(entry) for entry in value] if isinstance(value, list) else getattr(value, "text", value)
