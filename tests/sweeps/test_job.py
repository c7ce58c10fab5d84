"""What a job takes of the machine that it shares."""

import json
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import lab
import pytest
import torch
from omegaconf import OmegaConf

from genlab.checkpoints.folder import RunFolder
from genlab.sweeps import job
from genlab.system import cores

CPU = lab.device_config(threads=None)


def hydra(launcher, number=0, **settings):
    choices = {"hydra/launcher": launcher}
    return OmegaConf.create({"runtime": {"choices": choices}, "job": {"num": number}, "launcher": settings})


@pytest.mark.parametrize(
    ("node", "changes", "threads"),
    [
        (hydra("basic"), {}, None),
        (hydra("joblib", n_jobs=4), {}, 2),
        (hydra("joblib", n_jobs=4), {"processes": 2}, 1),
        (hydra("joblib", n_jobs=16), {}, 1),
        (hydra("joblib", n_jobs=4), {"threads": 7}, 7),
        (hydra("joblib", n_jobs=1), {}, None),
        (hydra("ray"), {}, 1),
        (hydra("submitit_local"), {"threads": 4}, 4),
        (hydra("submitit_slurm"), {}, None),
    ],
)
def test_jobs_side_by_side_share_the_cores(node, changes, threads):
    device = replace(CPU, **changes)
    with mock.patch.object(cores, "available", lambda: 8):
        job.share_machine(device, node)
    assert device.threads == threads


def test_jobs_side_by_side_take_the_gpus_in_turn():
    with (
        mock.patch.object(torch.cuda, "is_available", lambda: True),
        mock.patch.object(torch.cuda, "device_count", lambda: 4),
    ):
        devices = [replace(CPU, name="cuda", processes=2) for _ in range(5)]
        for number, device in enumerate(devices[:4]):
            job.share_machine(device, hydra("joblib", number, n_jobs=2))
        job.share_machine(devices[4], hydra("submitit_slurm", 3))
    assert [device.index for device in devices] == [0, 2, 0, 2, 0], "Slurm shows each job its own GPUs"


@pytest.mark.parametrize(
    ("metric", "direction"),
    [(None, "max"), ("validation/mse", "min"), ("validation/kl", None), ("evaluation/recall", "max"),
     ("evaluation/total_correlation", None)],
)  # fmt: skip
def test_jobs_are_ranked_by_what_has_a_direction(metric, direction):
    found = job.objective(lab.compose("vae"), SimpleNamespace(metric=metric))
    assert found == (metric or "validation/elbo", direction)


@pytest.mark.parametrize(
    ("overrides", "varied", "name"),
    [
        (["model.latent_dim=8", "seed=0", "experiment=quick"], ["model.latent_dim", "seed"], "latent_dim=8,seed=0"),
        (["+a.size=1", "b.size=2"], ["a.size", "b.size"], "a.size=1,b.size=2"),
        (["network.hidden=[8,16]", "dataset.path='/a/../é f'"], ["network.hidden", "dataset.path"],
         "hidden=8_16,path=a_.._é_f"),
        (["dataset.path=" + 300 * "é"], ["dataset.path"], "path=" + 97 * "é"),
        (["seed=0"], [], ""),
    ],
)  # fmt: skip
def test_a_job_is_called_by_what_its_sweep_varies(overrides, varied, name, tmp_path):
    assert job.settings_name(overrides, varied) == name
    (tmp_path / "job.json").write_text(json.dumps({"name": name}))
    assert RunFolder(tmp_path).events == tmp_path / name


@pytest.mark.parametrize("name", ["a=/../../b", "..", "", None, 3, ["a=b"], "a=" + 400 * "b", "a=b\n"])
def test_a_strangers_job_writes_its_events_nowhere_else(name, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"name": name}))
    assert RunFolder(tmp_path).events == tmp_path
