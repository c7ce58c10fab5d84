"""Sweeps as a person starts them, stops them, starts them again, and has jobs of them fail."""

import csv
import json
import signal

import lab
import pytest
import torch
import yaml
from joblib.externals.loky import get_reusable_executor

from genlab.sweeps import launch
from genlab.training.trainer import Trainer

QUIET = ["trainer.log_every=7", "trainer.validate_every=10", "trainer.checkpoint_every=8", "logger.tensorboard=false"]
FAILING = ["schedule=constant", "optimizer=sgd", "trainer.max_steps=6", "optimizer.lr=0,1e20"]


def status(folder):
    return json.loads((folder / "status.json").read_text())


def weights(folder):
    return torch.load(folder / "checkpoints/last.pt", weights_only=True)


def summary(sweep):
    with (sweep / "summary.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pool():
    """Settings of a pool whose processes are this test's own: joblib keeps them for the next sweep of a process."""
    get_reusable_executor().shutdown(wait=True)
    yield ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def sweep(tiny, genlab, tmp_path):
    """`sweep(*settings)` carries out a sweep of a tiny model in the folder `sweep`."""

    def run(*settings):
        return genlab("train", "-m", *tiny, *QUIET, "hydra.sweep.dir=sweep", *settings)

    return run


def test_a_sweep_gives_a_folder_for_each_combination(genlab, tiny, tmp_path):
    outcome = genlab("train", "-m", "seed=0,1", *tiny, *QUIET, "trainer.max_steps=2")
    assert outcome.code == 0, outcome.err
    (sweep,) = (tmp_path / "outputs/sweeps").glob("*/*")
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
    assert (
        "2 of 2 jobs finished\n" in outcome.out and f"genlab compare runs={sweep.relative_to(tmp_path)}" in outcome.out
    )
    best = max((float(row["validation/elbo"]), row["job"]) for row in summary(sweep))
    assert f"best       job {best[1]} (seed={best[1]}): validation/elbo {best[0]:.5g}" in outcome.out
    assert " ± " in outcome.out, "mean and spread over the seeds"
    assert outcome.err.count("finished  validation/elbo") == 2
    assert genlab("sample", "run=latest", "num_samples=1", "device=cpu").code == 0
    assert list(sweep.glob("1/samples/*/grid.png"))


def test_a_sweep_over_models_has_one_folder(genlab, tmp_path):
    settings = ["device=cpu", "device.threads=1", "trainer.max_steps=1", "trainer.batch_size=8", "model.latent_dim=2"]
    outcome = genlab("train", "-m", "model=ae,vae", *settings, "logger.tensorboard=false")
    assert outcome.code == 0, outcome.err
    (sweep,) = (tmp_path / "outputs/sweeps").glob("*/*")
    assert sweep.parent.name == "ae+vae-digits"
    models = [yaml.safe_load((sweep / job / "config.yaml").read_text())["choices"]["model"] for job in ("0", "1")]
    assert models == ["ae", "vae"]


def test_a_glob_means_the_choices_whose_names_fit(genlab, tmp_path):
    settings = ["device=cpu", "device.threads=1", "trainer.max_steps=1", "trainer.batch_size=8", "model.latent_dim=2"]
    outcome = genlab("train", "-m", "model=glob(*vae)", *settings, "logger.tensorboard=false", "hydra.sweep.dir=sweep")
    assert outcome.code == 0, outcome.err
    assert [row["model"] for row in summary(tmp_path / "sweep")] == ["beta-vae", "vae"]


def test_a_pool_gives_what_one_after_another_gives(genlab, tiny, tmp_path, pool):
    command = ["train", "-m", *tiny, *QUIET, "trainer.max_steps=12", "seed=0,1", "model.latent_dim=2,3"]
    assert genlab(*command, "hydra.sweep.dir=one").code == 0
    outcome = genlab(*command, *pool, "hydra.sweep.dir=pool")
    assert outcome.code == 0, outcome.err
    for number in range(4):
        one, pool = (tmp_path / place / str(number) for place in ("one", "pool"))
        assert not list(lab.differences(weights(one), weights(pool)))
        assert (one / "metrics.jsonl").read_bytes() == (pool / "metrics.jsonl").read_bytes()
    assert summary(tmp_path / "one")[3]["validation/elbo"] == summary(tmp_path / "pool")[3]["validation/elbo"]


def test_a_sweep_that_is_started_again_does_what_is_left(genlab, sweep, tmp_path, stop, monkeypatch):
    stop(13, signal.SIGTERM)
    outcome = sweep("seed=0,1,2", "trainer.max_steps=30")
    assert outcome.code == 143
    assert "0 of 3 jobs finished, 3 left" in outcome.err and "genlab resume run=sweep" in outcome.err
    assert status(tmp_path / "sweep/0")["status"] == "interrupted" and not (tmp_path / "sweep/1").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    steps = []
    trained = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda *given: (steps.append(given[0].step), trained(*given)))
    outcome = genlab("resume", "run=sweep")
    assert outcome.code == 0 and "3 of 3 jobs finished" in outcome.out
    assert steps == [*range(13, 30), *range(30), *range(30)]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*.pt")}
    assert sweep("seed=0,1,2", "trainer.max_steps=30").code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*.pt")} == before
    outcome = sweep("seed=0,1,2", "trainer.max_steps=30", "model.dropout=0.5")
    assert outcome.code == 2 and "sweep/0: model.dropout: 0.5 is asked for, the run has 0.0" in outcome.err


def test_a_job_that_fails_stops_no_other_and_is_tried_again_on_request(genlab, sweep, tmp_path):
    outcome = sweep(*FAILING, "seed=0,1")
    assert outcome.code == 1 and "Traceback" not in outcome.err
    assert "2 of 4 jobs finished, 2 failed" in outcome.out
    assert [row["state"] for row in summary(tmp_path / "sweep")] == ["finished", "finished", "failed", "failed"]
    assert "failed     job 2 (optimizer.lr=1e+20 seed=0): " in outcome.out and "sweep.retry=true" in outcome.out
    log = tmp_path / "sweep/2/train.log"
    assert log.read_text().count("Traceback") == log.read_text().count("TrainingDiverged: ") > 0
    kept = log.read_bytes()
    outcome = genlab("resume", "run=sweep")
    assert outcome.code == 1 and log.read_bytes() == kept, "it is left alone"
    outcome = genlab("resume", "run=sweep", "sweep.retry=true")
    assert outcome.code == 1 and len(log.read_bytes()) > len(kept) and log.read_bytes().startswith(kept)
    assert "retry" not in (tmp_path / "sweep/sweep.json").read_text(), "a request is made once"


def test_what_stops_a_job_before_it_begins_is_that_jobs_failure(sweep, tmp_path, monkeypatch):
    def train(request, folder, start=None):
        if request.seed == 0:
            raise ValueError("dataset.path=x: was there a moment ago")
        return honest(request, folder, start)

    from genlab.sweeps import job

    honest = job.train
    monkeypatch.setattr(job, "train", train)
    outcome = sweep("seed=0,1", "trainer.max_steps=2")
    assert outcome.code == 1 and "1 of 2 jobs finished, 1 failed" in outcome.out
    assert "failed     job 0 (seed=0): dataset.path=x: was there a moment ago" in outcome.out
    assert "Traceback" in (tmp_path / "sweep/0/train.log").read_text()


def test_a_process_of_a_pool_that_dies_costs_its_job_alone(genlab, tiny, tmp_path, monkeypatch, pool):
    """Killed as the kernel kills what takes too much memory: twice, before its job is given up."""
    (tmp_path / "killed.py").write_text(
        "import os, signal\n"
        "from genlab.training.trainer import Trainer\n"
        "honest = Trainer.train_step\n"
        "def train_step(trainer, batch):\n"
        "    honest(trainer, batch)\n"
        "    if trainer.train_loader.seed == 1 and trainer.step == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Trainer.train_step = train_step\n"
    )
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif any('loky' in word for word in sys.orig_argv):\n    import killed\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = ["train", "-m", "seed=0,1,2", *tiny, *QUIET, "trainer.max_steps=12", "hydra.sweep.dir=sweep"]
    outcome = genlab(*command, *pool)
    assert outcome.code == 1, outcome.err
    assert [row["state"] for row in summary(tmp_path / "sweep")] == ["finished", "failed", "finished"], outcome
    assert launch._KILLED in status(tmp_path / "sweep/1")["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=0,1", "hydra/launcher=slurm"], "hydra/launcher=slurm: no such launcher; there are: basic, joblib"),
        (["seed=0,1", "hydra.sweep.subdir=x"], "hydra.sweep.subdir=x: jobs are numbered"),
        (["optimizer.lr=interval(0,1)"], "a search needs hydra/sweeper=optuna"),
        (["seed=0,1", "sweep.metric=validation/elbow"], "sweep.metric=validation/elbow: did you mean 'elbo'?"),
        (["seed=0,1", "sweep.metric=elbo"], "sweep.metric=elbo: must begin with validation/ or evaluation/"),
        (["seed=0,1", "sweep.metric=evaluation/kernel_distance"], "is measured only with trainer.evaluate_every=STEPS"),
        (["model=vea", "seed=0,1"], "model=vea: no such model; did you mean 'vae'?"),
        (["sweep=seed"], "sweep=seed: no such sweep; did you mean 'seeds'?"),
        (["sweep=seeds,beta"], "sweep=seeds,beta: choose one"),
        (["model=glob(x*)"], "model=glob(x*): fits no choice"),
        (
            ["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
            "hydra.launcher.n_jobs=0: must be at least 1",
        ),
        (["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=two"], "hydra.launcher.n_jobs=two: "),
        (["hydra/launcher=joblib,basic"], "hydra/launcher=joblib,basic: applies to the whole sweep"),
        (["sweep.retry=true,false"], "sweep.retry=true,false: applies to the whole sweep"),
        (["seed=0,1", "experiment=../../x"], "experiment=../../x: experiment takes a name, and no path"),
    ],
)
def test_mistakes_are_refused_before_the_first_job_begins(refused, arguments, message):
    assert message in refused("train", "-m", *arguments)


def test_what_is_of_sweeps_needs_m(refused):
    assert "sweep.retry needs -m" in refused("train", "sweep.retry=true")


def test_jobs_that_are_training_are_waited_for(sweep, tmp_path, monkeypatch):
    assert sweep("seed=0,1", "trainer.max_steps=2").code == 0
    monkeypatch.setattr("genlab.commands.sweep.is_locked", lambda folder: folder.name == "1")
    outcome = sweep("seed=0,1", "trainer.max_steps=2")
    assert outcome.code == 2 and "sweep: jobs 1 are training now" in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"overrides": ["hydra.launcher.setup=[touch owned]"]}', "hydra.launcher.setup=[touch owned] is not taken"),
        ('{"overrides": ["hydra/launcher=evil"]}', "hydra/launcher=evil is not taken from a file"),
        ('{"overrides": ["hydra.callbacks.x._target_=os.system"]}', "is not taken from a file"),
        ('{"overrides": ["seed=0,1", "experiment=../../../x"]}', "experiment takes a name, and no path"),
        ('{"overrides": ["seed=0,1", "dataset=mnist", "data_dir=/tmp/x"]}', "data_dir=/tmp/x is not taken from a file"),
        ('{"overrides": "seed=0"}', "damaged"),
        ("[", "damaged"),
    ],
)
def test_a_strangers_sweep_runs_nothing(genlab, tmp_path, content, message):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/sweep.json").write_text(content)
    outcome = genlab("resume", "run=sweep")
    assert outcome.code == 2 and message in outcome.err and "Traceback" not in outcome.err
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == ["sweep.json"]


def test_what_a_file_may_not_say_is_given_once_more(genlab, sweep, tmp_path):
    (tmp_path / "here").mkdir()
    outcome = sweep("seed=0,1", *FAILING[:3], "optimizer.lr=1e20", "data_dir=here")
    assert outcome.code == 1 and "next       genlab resume run=sweep data_dir=here sweep.retry=true" in outcome.out
    assert genlab("resume", "run=sweep").code == 2
    assert "2 failed" in genlab("resume", "run=sweep", "data_dir=here").out


@pytest.mark.parametrize("name", ["a,b", "it's", "x=y", "a b"])
def test_folders_of_any_name_are_found_again(genlab, tiny, tmp_path, name):
    (tmp_path / "odd").mkdir()
    folder = tmp_path / "odd" / name
    place = str(folder).replace("'", "\\'")
    assert (
        genlab("train", "-m", "seed=0,1", *tiny, *QUIET, "trainer.max_steps=1", f"hydra.sweep.dir='{place}'").code == 0
    )
    outcome = genlab("resume", f"run={folder}" if name == "a b" else f"run='{place}'")
    assert outcome.code == 0 and "2 of 2 jobs finished" in outcome.out
    assert [path.name for path in (tmp_path / "odd").iterdir()] == [name]


def test_links_lead_nowhere(genlab, sweep, tmp_path):
    assert sweep("seed=0,1", "trainer.max_steps=2").code == 0
    (tmp_path / "outside").mkdir()
    (tmp_path / "sweep/1/train.log").unlink()
    (tmp_path / "sweep/1/train.log").symlink_to(tmp_path / "outside/log")
    outcome = genlab("resume", "run=sweep")
    assert outcome.code == 2 and "sweep/1/train.log: is a symbolic link" in outcome.err
    assert not list((tmp_path / "outside").iterdir())


def test_sweeps_and_runs_have_folders_of_their_own(genlab, sweep, tiny):
    assert sweep("seed=0,1", "trainer.max_steps=2").code == 0
    outcome = genlab("train", *tiny, "hydra.run.dir=sweep")
    assert outcome.code == 2 and "hydra.run.dir=sweep: holds a sweep" in outcome.err
    outcome = genlab("train", "-m", "seed=0,1", *tiny, "hydra.sweep.dir=sweep/0")
    assert outcome.code == 2 and "hydra.sweep.dir=sweep/0: holds a run" in outcome.err


def test_another_run_in_a_jobs_place_is_left_as_it_is(genlab, sweep, tmp_path):
    pytest.importorskip("optuna")
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "optimizer.lr=interval(1e-4,1e-2)",
        "trainer.max_steps=2",
    ]
    assert sweep(*search).code == 0
    before = status(tmp_path / "sweep/0")
    outcome = sweep(*search, "hydra.sweeper.sampler.seed=1")
    assert (
        outcome.code == 1 and "failed     job 0" in outcome.out and "holds another run: optimizer.lr: " in outcome.out
    )
    assert status(tmp_path / "sweep/0") == before
    assert genlab("resume", "run=sweep", "hydra.sweeper.sampler.seed=2").code == 2, "other jobs are another sweep"


def test_a_job_that_was_another_one_when_it_failed_is_tried(sweep, tmp_path, monkeypatch):
    from genlab.sweeps import job

    with monkeypatch.context() as patch:
        patch.setattr(job, "train", lambda *_: 1 / 0)
        assert sweep("seed=0,1", "trainer.max_steps=2").code == 1
    outcome = sweep("seed=2,1", "trainer.max_steps=2")
    assert [row["state"] for row in summary(tmp_path / "sweep")] == ["finished", "failed"], outcome.out


def test_a_sweep_stopped_again_at_once_still_knows_what_was_done(genlab, sweep, tmp_path, stop, monkeypatch):
    assert sweep("seed=0,1", "trainer.max_steps=12").code == 0
    stop(3, signal.SIGTERM)
    outcome = sweep("seed=0,1,2", "trainer.max_steps=12")
    assert outcome.code == 143 and "2 of 3 jobs finished, 1 left" in outcome.err
    assert [row["state"] for row in summary(tmp_path / "sweep")] == ["finished", "finished", "running"]


@pytest.mark.slow
def test_jobs_of_a_pool_may_have_processes_of_their_own(genlab, tiny, pool, tmp_path):
    command = ["train", "-m", *tiny, *QUIET, "trainer.max_steps=4", "device.processes=2", "seed=0,1", *pool]
    outcome = genlab(*command, "hydra.sweep.dir=sweep")
    assert outcome.code == 0, outcome.err + outcome.out
    assert [row["state"] for row in summary(tmp_path / "sweep")] == ["finished", "finished"]


def test_a_sweep_that_is_resumed_asks_for_the_same_jobs(genlab, sweep):
    assert sweep("seed=0,1", "trainer.max_steps=2").code == 0
    outcome = genlab("resume", "run=sweep", "trainer.max_steps=9")
    assert outcome.code == 2 and "trainer.max_steps=9: a resumed sweep runs the same jobs" in outcome.err


def test_a_search_improves_what_it_is_told_to(genlab, tiny, tmp_path):
    pytest.importorskip("optuna")
    command = ["train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", *tiny, *QUIET]
    command += ["trainer.max_steps=4", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra.sweep.dir=sweep"]
    outcome = genlab(*command)
    assert outcome.code == 0, outcome.err
    result = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    values = [float(row["validation/elbo"]) for row in summary(tmp_path / "sweep")]
    assert len(values) == 3 and result["best_value"] == max(values), "the ELBO is to grow, not to shrink"
    rates = [row["optimizer.lr"] for row in summary(tmp_path / "sweep")]
    assert len(set(rates)) == 3
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*.pt")}
    assert genlab("resume", "run=sweep").code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*.pt")} == before
    assert [row["optimizer.lr"] for row in summary(tmp_path / "sweep")] == rates, "a search repeats itself"
