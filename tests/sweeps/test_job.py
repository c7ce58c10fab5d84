"""What a job takes of the machine it shares, and the word that it leaves where it fails."""

import json
from dataclasses import replace
from unittest import mock

import lab
import pytest
import torch
from omegaconf import OmegaConf

from genlab.checkpoints.folder import JobFolder, RunFolder
from genlab.checkpoints.lock import locked
from genlab.runs.processes import RunFailed
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
        (hydra("ray", ray={"remote": {"num_cpus": 4}}), {}, 4),
        (hydra("ray", ray={"remote": {}}), {}, 1),
        (hydra("submitit_slurm", cpus_per_task=4), {}, 4),
        (hydra("submitit_slurm", cpus_per_task=None), {}, None),
        (hydra("submitit_local", cpus_per_task=None), {}, 1),
    ],
)
def test_jobs_side_by_side_share_the_cores(node, changes, threads):
    device = replace(CPU, **changes)
    with mock.patch.object(cores, "available", lambda: 8):
        assert replace(device, **job.share_of_machine(node, device)).threads == threads


def test_jobs_side_by_side_take_the_gpus_in_turn():
    with (
        mock.patch.object(torch.cuda, "is_available", lambda: True),
        mock.patch.object(torch.cuda, "device_count", lambda: 4),
    ):
        device = replace(CPU, name="cuda", processes=2)
        found = [job.share_of_machine(hydra("joblib", number, n_jobs=2), device)["index"] for number in range(4)]
        assert found == [0, 2, 0, 2]
        slurm = hydra("submitit_slurm", 3, cpus_per_task=None)
        assert "index" not in job.share_of_machine(slurm, device), "Slurm shows each its own"


def test_a_failure_keeps_its_traceback_and_what_was_known(tmp_path):
    (tmp_path / "status.json").write_text(json.dumps({"status": "running", "step": 7, "alarms": [], "final": {"a": 1}}))
    try:
        raise ValueError("dataset.path=x: no such folder")
    except ValueError as error:
        job.record_failure(JobFolder(tmp_path), error)
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["status"], status["step"], status["final"]) == ("failed", 7, {"a": 1})
    assert status["reason"] == "dataset.path=x: no such folder"
    assert "Traceback" in (tmp_path / "train.log").read_text()


def test_training_that_told_of_its_failure_is_not_spoken_over(tmp_path):
    told = {"status": "failed", "step": 7, "reason": "loss became nan", "alarms": [], "final": {}}
    (tmp_path / "status.json").write_text(json.dumps(told))
    job.record_failure(JobFolder(tmp_path), RunFailed("loss became nan", RunFolder(tmp_path)))
    assert json.loads((tmp_path / "status.json").read_text()) == told and not (tmp_path / "train.log").exists()


def _hold(folder, ready, done):
    with locked(folder):
        ready.set()
        done.wait(30)


def test_a_run_of_another_process_is_let_alone(tmp_path):
    context = torch.multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(30)
    job.record_failure(JobFolder(tmp_path), ValueError("another process is training into this folder"))
    done.set()
    holder.join()
    assert not (tmp_path / "status.json").exists()
