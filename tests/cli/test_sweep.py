"""Sweeps as a person starts them, stops them, starts them again, and has jobs of them fail."""

import csv
import json
import os
import shutil
import signal
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import lab
import pytest
import yaml
from joblib.externals.loky import get_reusable_executor

from genlab.checkpoints import file as checkpoint
from genlab.cli import main
from genlab.commands.lines import command_line, quoted
from genlab.sweeps import job
from genlab.training.trainer import Trainer

TINY = ["device=cpu", "device.threads=1", "model.latent_dim=3", "network.hidden=[16]", "trainer.batch_size=32"]
TINY += ["logger.tensorboard=false"]
TINY += ["trainer.log_every=7", "trainer.validate_every=10", "trainer.checkpoint_every=8", "trainer.preview_every=null"]


def status(folder):
    return json.loads((folder / "status.json").read_text())


def weights(folder):
    return checkpoint.load(folder / "checkpoints/last.safetensors")


def summary(sweep):
    with (sweep / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def states(sweep):
    return [row["state"] for row in summary(sweep)]


def written(sweep):
    return {path: path.stat().st_mtime_ns for path in sweep.rglob("*.safetensors")}


@pytest.fixture
def pool():
    """Settings of a pool whose processes are this test's own: joblib keeps them for the next sweep of a process."""
    get_reusable_executor().shutdown(wait=True)
    yield ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def sweep(genlab):
    """`sweep(*settings)` carries out a sweep of a tiny model in the folder `sweep`."""

    def run(*settings):
        return genlab("train", "-m", *TINY, "hydra.sweep.dir=sweep", *settings)

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep of two seeds that has finished: its folder, not to be changed, and what it printed to both streams."""
    folder, out, err = tmp_path_factory.mktemp("outputs") / "sweeps/odd/a, b=it's", StringIO(), StringIO()
    with pytest.raises(SystemExit) as stopped, redirect_stdout(out), redirect_stderr(err):
        main(["train", "-m", "seed=0,1", *TINY, "trainer.max_steps=2", f"hydra.sweep.dir={quoted(str(folder))}"])
    assert stopped.value.code == 0, err.getvalue()
    return folder, out.getvalue(), err.getvalue()


def test_a_sweep_gives_a_folder_for_each_combination(genlab, finished):
    sweep, out, err = finished
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {"0", "1"}
    for seed in (0, 1):
        assert status(sweep / str(seed))["status"] == "finished"
        config = yaml.safe_load((sweep / str(seed) / "config.yaml").read_text())
        assert config["seed"] == seed and "sweep" not in config
        command = json.loads((sweep / str(seed) / "environment.json").read_text())["command"]
        assert command[:3] == ["genlab", "train", f"seed={seed}"]
    assert lab.moved(*(weights(sweep / str(seed))["model"] for seed in (0, 1)))
    assert [(row["job"], row["state"], row["seed"]) for row in summary(sweep)] == [
        ("0", "finished", "0"),
        ("1", "finished", "1"),
    ]
    assert command_line("compare", runs=sweep) in out
    best = max((float(row["validation/elbo"]), row["job"]) for row in summary(sweep))
    assert f"best       job {best[1]} (seed={best[1]}): validation/elbo {best[0]:.5g}" in out
    assert " ± " in out, "mean and spread over the seeds"
    assert err.count("finished  validation/elbo") == 2
    assert genlab("sample", "run=latest", f"output_dir={sweep.parents[2]}", "num_samples=1", "device=cpu").code == 0
    assert list(sweep.glob("1/samples/*/grid.png"))
    assert "2 of 2 jobs finished" in genlab("resume", f"run={quoted(str(sweep))}").out
    assert [path.name for path in sweep.parent.iterdir()] == ["a, b=it's"], "a folder of any name is found again"


def test_models_by_a_glob_share_one_folder(genlab, tmp_path):
    outcome = genlab("train", "-m", "model=glob(*vae)", *TINY, "trainer.max_steps=1")
    assert outcome.code == 0, outcome.err
    (sweep,) = (tmp_path / "outputs/sweeps").glob("*/*")
    assert sweep.parent.name == "beta-vae+cvae+vae-digits"
    assert [row["model"] for row in summary(sweep)] == ["beta-vae", "cvae", "vae"]


def test_a_stopped_sweep_does_what_is_left(genlab, sweep, tmp_path, stop, monkeypatch):
    place = tmp_path / "sweep"
    stop(13, signal.SIGTERM)
    outcome = sweep("seed=0,1", "trainer.max_steps=20")
    assert outcome.code == 143 and "0 of 2 jobs finished, 2 left" in outcome.err
    assert "genlab resume run=sweep" in outcome.err
    assert status(place / "0")["status"] == "interrupted" and not (place / "1").exists()
    steps, trained = [], Trainer.train_step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", lambda *given: (steps.append(given[0].step), trained(*given)))
        outcome = genlab("resume", "run=sweep")
    assert outcome.code == 0 and "2 of 2 jobs finished" in outcome.out
    assert steps == [*range(13, 20), *range(20)]

    before = written(place)
    stop(3, signal.SIGTERM)
    outcome = sweep("seed=0,1,2", "trainer.max_steps=20")
    assert outcome.code == 143 and "2 of 3 jobs finished, 1 left" in outcome.err
    assert states(place) == ["finished", "finished", "running"]
    assert before.items() <= written(place).items(), "what has finished is not touched again"
    outcome = sweep("seed=0,1,2", "trainer.max_steps=20", "model.dropout=0.5")
    assert outcome.code == 2 and "sweep/0: model.dropout: 0.5" in outcome.err


def test_a_job_that_fails_stops_no_other_and_is_tried_again_on_request(genlab, sweep, tmp_path):
    (tmp_path / "here").mkdir()
    failing = ["schedule=constant", "optimizer=sgd", "trainer.max_steps=6", "optimizer.lr=1e18,0", "data_dir=here"]
    outcome = sweep(*failing)
    assert outcome.code == 1 and "Traceback" not in outcome.err
    assert "1 of 2 jobs finished, 1 failed" in outcome.out and states(tmp_path / "sweep") == ["failed", "finished"]
    assert "optimizer.lr" in summary(tmp_path / "sweep")[0]["reason"]
    assert "failed     job 0 (optimizer.lr=1e+18): " in outcome.out
    assert "next       genlab resume run=sweep data_dir=here sweep.retry=true" in outcome.out
    log = tmp_path / "sweep/0/train.log"
    assert log.read_text().count("Traceback") == log.read_text().count("TrainingDiverged: ") > 0
    kept = log.read_bytes()
    assert genlab("resume", "run=sweep").code == 2, "no file decides on places"
    outcome = genlab("resume", "run=sweep", "data_dir=here")
    assert outcome.code == 1 and log.read_bytes() == kept, "it is left alone"
    outcome = genlab("resume", "run=sweep", "data_dir=here", "sweep.retry=true")
    assert outcome.code == 1 and len(log.read_bytes()) > len(kept) and log.read_bytes().startswith(kept)
    assert "retry" not in (tmp_path / "sweep/sweep.json").read_text(), "a request is made once"


def test_what_stops_a_job_before_it_begins_is_that_jobs_failure(sweep, tmp_path, monkeypatch):
    def train(config, folder, start=None):
        if config.seed == 0:
            raise ValueError("dataset.path=x: was there a moment ago")
        return 1 / 0

    with monkeypatch.context() as patch:
        patch.setattr(job, "train", train)
        outcome = sweep("seed=0,1", "trainer.max_steps=2")
    assert outcome.code == 1 and "0 of 2 jobs finished, 2 failed" in outcome.out
    assert "failed     job 0 (seed=0): dataset.path=x: was there a moment ago" in outcome.out
    assert "ZeroDivisionError" in (tmp_path / "sweep/1/train.log").read_text()
    sweep("seed=2,1", "trainer.max_steps=2")
    assert states(tmp_path / "sweep") == ["finished", "failed"], "job 0 is another one now"


def test_a_pool_that_dies_loses_no_result(genlab, tmp_path, monkeypatch, pool):
    """A process is killed as the kernel kills what takes too much memory; in the end all is as if it had not been."""
    (tmp_path / "killed.py").write_text(
        "import os, signal\n"
        "from genlab.training.trainer import Trainer\n"
        "honest = Trainer.train_step\n"
        "def train_step(trainer, batch):\n"
        "    honest(trainer, batch)\n"
        "    if trainer.train_loader.seed == 1 and trainer.step == 9:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Trainer.train_step = train_step\n"
    )
    hook = tmp_path / "sitecustomize.py"
    hook.write_text("import sys\nif any('loky' in word for word in sys.orig_argv):\n    import killed\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    settings = [*TINY, "trainer.max_steps=12"]
    outcome = genlab("train", "-m", "seed=0,1,2", *settings, *pool, "hydra.sweep.dir=pool")
    assert outcome.code == 1 and "hydra.launcher.n_jobs" in outcome.out, outcome
    assert "next       genlab resume run=pool sweep.retry=true" in outcome.out
    found = {row["job"]: row["state"] for row in summary(tmp_path / "pool")}  # without jobs that were never begun
    assert set(found.values()) <= {"finished", "failed"} and found["1"] == "failed"

    hook.unlink()
    assert genlab("resume", "run=pool", "sweep.retry=true", "hydra.launcher.n_jobs=1").code == 0
    assert states(tmp_path / "pool") == ["finished"] * 3
    assert genlab("train", "seed=1", *settings, "hydra.run.dir=alone").code == 0
    alone, killed = tmp_path / "alone", tmp_path / "pool/1"
    for part in ("model", "optimizer"):
        assert not list(lab.differences(weights(alone)[part], weights(killed)[part]))
    assert (alone / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_jobs_of_a_pool_may_have_processes_of_their_own(sweep, pool, tmp_path):
    outcome = sweep("trainer.max_steps=4", "device.processes=2", "seed=0,1", *pool)
    assert outcome.code == 0, outcome.err + outcome.out
    assert states(tmp_path / "sweep") == ["finished", "finished"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=0,1", "hydra/launcher=slurm"], "hydra/launcher=slurm: no such launcher; there are: basic, joblib"),
        (["seed=0,1", "hydra.sweep.subdir=x"], "hydra.sweep.subdir=x: "),
        (["optimizer.lr=interval(0,1)"], "hydra/sweeper=optuna"),
        (["seed=0,1", "sweep.metric=validation/elbow"], "sweep.metric=validation/elbow: did you mean 'elbo'?"),
        (["seed=0,1", "sweep.metric=evaluation/kernel_distance"], "trainer.evaluate_every=STEPS"),
        (["sweep=seed"], "sweep=seed: no such sweep; did you mean 'seeds'?"),
        (["sweep=seeds,beta"], "sweep=seeds,beta: choose one"),
        (["model=glob(x*)"], "model=glob(x*): fits no choice"),
        (["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0: "),
        (["hydra/launcher=joblib,basic"], "hydra/launcher=joblib,basic: "),
        (["sweep.retry=true,false"], "sweep.retry=true,false: "),
        (["seed=0,1", "experiment=../../x"], "experiment=../../x: "),
    ],
)
def test_mistakes_are_refused_before_the_first_job_begins(refused, arguments, message):
    assert message in refused("train", "-m", *arguments)


def test_what_is_of_sweeps_needs_m(refused):
    assert "sweep.retry needs -m" in refused("train", "sweep.retry=true")


def test_a_sweep_that_is_there_is_what_it_is(refused, finished, tmp_path, monkeypatch):
    folder, *_ = finished
    place, job = quoted(str(folder)), quoted(f"{folder}/0")
    assert f"hydra.run.dir={folder}: holds a sweep" in refused("train", *TINY, f"hydra.run.dir={place}")
    assert f"hydra.sweep.dir={folder}/0: " in refused("train", "-m", "seed=0,1", f"hydra.sweep.dir={job}")
    for line in ("trainer.max_steps=9", "hydra.sweeper.max_batch_size=2"):
        assert f"{line}: a resumed sweep runs the same jobs" in refused("resume", f"run={place}", line)
    with monkeypatch.context() as patch:
        patch.setattr("genlab.commands.sweep.is_locked", lambda folder: folder.name == "1")
        assert "jobs 1 are training now" in refused("train", "-m", "seed=0,1", *TINY, f"hydra.sweep.dir={place}")
    linked, outside = shutil.copytree(folder, tmp_path / "sweep"), tmp_path / "log"
    (linked / "1/train.log").unlink()
    (linked / "1/train.log").symlink_to(outside)
    assert "sweep/1/train.log: is a symbolic link" in refused("resume", "run=sweep")
    assert not outside.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"overrides": ["hydra.launcher.setup=[touch owned]"]}', "hydra.launcher.setup=[touch owned] is not taken"),
        ('{"overrides": ["hydra/launcher=evil"]}', "hydra/launcher=evil is not taken from a file"),
        ('{"overrides": ["hydra.callbacks.x._target_=os.system"]}', "is not taken from a file"),
        ('{"overrides": ["seed=0,1", "experiment=../../../x"]}', "experiment takes a name, and no path"),
        ('{"overrides": ["seed=0,1", "dataset=mnist", "data_dir=/tmp/x"]}', "data_dir=/tmp/x is not taken from a file"),
        ('{"overrides": "seed=0"}', "damaged"),
    ],
)
def test_a_strangers_sweep_runs_nothing(refused, tmp_path, content, message):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/sweep.json").write_text(content)
    assert message in refused("resume", "run=sweep")


def test_a_search_improves_what_it_is_told_to(genlab, sweep, tmp_path):
    pytest.importorskip("optuna")
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "trainer.max_steps=4"]
    search += ["optimizer.lr=tag(log,interval(1e-4,1e-2))"]
    outcome = sweep(*search)
    assert outcome.code == 0, outcome.err
    place = tmp_path / "sweep"
    result = yaml.safe_load((place / "optimization_results.yaml").read_text())
    values = [float(row["validation/elbo"]) for row in summary(place)]
    assert len(values) == 3 and result["best_value"] == max(values), "the ELBO is to grow, not to shrink"
    rates = [row["optimizer.lr"] for row in summary(place)]
    assert len(set(rates)) == 3
    before = written(place)
    assert genlab("resume", "run=sweep").code == 0
    assert [row["optimizer.lr"] for row in summary(place)] == rates, "a search repeats itself"
    outcome = sweep(*search, "hydra.sweeper.sampler.seed=1")
    assert outcome.code == 1 and "failed     job 0" in outcome.out
    assert "holds another run: optimizer.lr: " in outcome.out, "the seed of the user wins, and proposes others"
    assert written(place) == before


def test_jobs_get_the_sizes_of_their_networks_from_the_data_and_the_choice(sweep, tmp_path):
    points = ["dataset=ring", "dataset.num_train=300", "dataset.num_validation=50"]  # their networks have `hidden`
    outcome = sweep("model=gan", *points, "network.hidden=[8],[9]", "trainer.max_steps=1")
    assert outcome.code == 0, outcome.err
    configs = [yaml.safe_load((tmp_path / f"sweep/{job}/config.yaml").read_text()) for job in (0, 1)]
    assert [config["network"]["hidden"] for config in configs] == [[8], [9]]
    assert all("dense" not in config["network"] for config in configs)
    assert [row["network.hidden"] for row in summary(tmp_path / "sweep")] == ["[8]", "[9]"]
