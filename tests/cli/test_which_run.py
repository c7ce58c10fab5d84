"""Which run a command takes: the newest in a folder, the best job of a sweep, the last that was stopped."""

import json
import os
import shutil

import pytest

from genlab.checkpoints.folder import RunFolder, SweepFolder


@pytest.fixture
def make(trained, tmp_path):
    """`make(place, age, **status)`: a copy of a finished run below the working folder; the oldest has the greatest
    age."""

    def copy(place, age=0, elbo=None, **changes):
        run = shutil.copytree(trained[1], tmp_path / place)
        entry = json.loads((run / "status.json").read_text()) | changes
        if elbo is not None:
            entry["final"]["validation/elbo"] = elbo
        (run / "status.json").write_text(json.dumps(entry))
        for path in (run / "status.json", run / "checkpoints/last.safetensors"):
            os.utime(path, (10**9 - age, 10**9 - age))
        return place

    return copy


@pytest.fixture
def sweep(make, tmp_path):
    """A sweep of three jobs; the last one failed."""
    make("outputs/sweeps/latents/0", 3, elbo=-90.0)
    make("outputs/sweeps/latents/1", 2, elbo=-80.0, alarms=[{"kind": "collapse"}])
    make("outputs/sweeps/latents/2", 1, elbo=-70.0, status="failed")
    request = tmp_path / "outputs/sweeps/latents/sweep.json"
    request.write_text(json.dumps({"overrides": ["model.latent_dim=1,2,3"]}))
    return SweepFolder(request.parent.relative_to(tmp_path))


def test_a_folder_means_its_newest_run(make, genlab):
    make("outputs/vae-digits/a", 1)
    newest = make("outputs/vae-digits/b", 0)
    make("outputs/ae-digits/c", 2)
    for folder in ("outputs", "outputs/vae-digits", "."):
        outcome = genlab("info", f"run={folder}")
        assert outcome.code == 0 and f"chosen     {newest} (the newest run in {folder})" in outcome.err
        assert f"run        {newest}" in outcome.out
    assert genlab("info", f"run={newest}").err == ""
    outcome = genlab("sample", "run=outputs/ae-digits", "num_samples=2", "device=cpu", "device.threads=1")
    assert outcome.code == 0 and outcome.err.startswith("chosen     outputs/ae-digits/c")
    assert "outputs/ae-digits/c/samples" in outcome.out


def test_a_sweep_means_its_best_job(sweep, genlab):
    outcome = genlab("info", f"run={sweep}")
    assert outcome.code == 0 and f"run        {sweep}/1" in outcome.out
    assert all(part in outcome.err for part in (f"{sweep}/1", "best of 2 jobs", "validation/elbo -80"))


@pytest.mark.parametrize("asked", [["sweep.metric=validation/mse"], ["sweep=mine"]])
def test_a_sweep_is_ranked_by_its_own_metric(asked, sweep, genlab, monkeypatch):
    for number, mse in enumerate((0.1, 0.2)):
        status = sweep.job(number).status
        entry = json.loads(status.read_text())
        entry["final"]["validation/mse"], entry["directions"]["validation/mse"] = mse, "min"
        status.write_text(json.dumps(entry))
    sweep.request.write_text(json.dumps({"overrides": asked}))
    monkeypatch.setattr("genlab.comparison.best.options", lambda group: ["mine"])
    monkeypatch.setattr("genlab.comparison.best.read_option", lambda *names: {"sweep": {"metric": "validation/mse"}})
    assert f"{sweep}/0 (best of 2 jobs: validation/mse 0.1)" in genlab("info", f"run={sweep}").err


def test_a_sweep_without_a_best_job_is_refused(sweep, refused, genlab):
    sweep.request.write_text(json.dumps({"overrides": ["sweep.metric=validation/nothing"]}))
    line = refused("info", f"run={sweep}")
    assert "validation/nothing" in line and f"run={sweep}/0" in line
    sweep.request.write_text("[")  # damaged, so that the model's own metric ranks
    assert f"{sweep}/1" in genlab("info", f"run={sweep}").err
    for number in (0, 1):
        sweep.job(number).status.write_text(json.dumps({"status": "interrupted", "directions": {}, "step": 1}))
    assert "no job of this sweep has finished" in refused("sample", f"run={sweep}")


@pytest.fixture
def resumed(genlab, monkeypatch):
    """`resumed(*arguments)`: what `genlab resume` would go on with, and what it says."""
    found = []

    def run(*arguments):
        outcome = genlab("resume", *arguments)
        return (str(found.pop()) if found else None), outcome

    monkeypatch.setattr("genlab.commands.resume.resume_and_report", lambda stopped, _: found.append(stopped.folder))
    monkeypatch.setattr("genlab.commands.resume.resume_sweep", lambda folder, _: found.append(folder) or 0)
    return run


def test_resume_alone_takes_the_last_run_that_was_stopped(make, resumed):
    make("outputs/vae-digits/finished", 0)
    stopped = make("outputs/vae-digits/stopped", 1, status="interrupted")
    make("outputs/vae-digits/killed", 2, status="running")
    run, outcome = resumed()
    assert run == stopped and f"{stopped} (interrupted; the last run that was stopped)" in outcome.err
    assert resumed("run=latest")[0] == "outputs/vae-digits/finished"
    assert resumed("run=outputs")[0] == "outputs/vae-digits/finished"
    shutil.rmtree(stopped)
    assert resumed()[0] == "outputs/vae-digits/killed"


def test_resume_without_a_stopped_run_says_the_way_out(make, resumed, refused):
    assert "genlab train" in refused("resume")
    make("outputs/vae-digits/finished")
    run, outcome = resumed()
    assert run is None and outcome.code == 2
    assert "below outputs was stopped" in outcome.err and "genlab resume run=latest trainer.max_steps=" in outcome.err


def test_resume_goes_on_with_a_sweep_as_a_whole(sweep, resumed):
    assert resumed()[1].code == 2, "a sweep goes on after a failed job, which is no reason to resume it"
    assert resumed(f"run={sweep}")[0] == str(sweep)
    job = RunFolder(sweep.path / "0")
    job.status.write_text(json.dumps(json.loads(job.status.read_text()) | {"status": "interrupted"}))
    run, outcome = resumed()
    assert run == str(sweep) and "job 0 was interrupted" in outcome.err
