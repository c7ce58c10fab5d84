"""`genlab resume`: the same run, in the same folder, as if it had never stopped."""

import json
import os
import shutil
import signal

import lab
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from genlab.checkpoints import file as checkpoint
from genlab.cli import main

RUN = [
    "output_dir=runs",
    "trainer.max_steps=30",
    "trainer.log_every=7",
    "trainer.validate_every=10",
    "trainer.preview_every=10",
    "trainer.checkpoint_every=8",
    "trainer.ema=0.9",
    "loader.shift=1",
]


def status(folder):
    return json.loads((folder / "status.json").read_text())


def scalars(folder):
    events = EventAccumulator(str(folder), {"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("system/")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def assert_same_run(a, b):
    first, second = (checkpoint.load(folder / "checkpoints/last.safetensors") for folder in (a, b))
    for state in (first, second):
        del state["config"]["output_dir"]  # where a run lies may differ
    assert not list(lab.differences(first, second))
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    assert {path.name for path in (a / "previews").iterdir()} == {path.name for path in (b / "previews").iterdir()}
    assert scalars(a) == scalars(b)


@pytest.fixture(autouse=True)
def numbered_from_one(monkeypatch):
    """Event files are read in the order of their names, and the tenth of a process sorts before the ninth within a
    second. A person resumes a run in a process of its own."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(1))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny):
    """The folder of a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("runs") / "x/whole"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
        patch.delenv("GENLAB_DATA", raising=False)
        main(["train", *tiny, *RUN, f"hydra.run.dir={folder}"])
    assert stopped.value.code == 0
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """The same run in a folder that a test may change."""
    folder = shutil.copytree(whole, tmp_path / "copy")
    last = folder / "checkpoints/last.safetensors"
    last.unlink()
    last.hardlink_to(folder / "checkpoints/step_0000030.safetensors")
    return folder


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_a_run_and_resume_continues_it(number, code, genlab, tiny, tmp_path, whole, stop):
    folder = tmp_path / "runs/x/run"
    stop(13, number)
    outcome = genlab("train", *tiny, *RUN, "hydra.run.dir=runs/x/run")
    assert outcome.code == code
    assert f"genlab: stopped by {number.name}" in outcome.err
    assert outcome.lines[-1] == "next       genlab resume run=runs/x/run" and "Traceback" not in outcome.err
    entry = status(folder)
    assert (entry["status"], entry["step"], entry["reason"]) == ("interrupted", 13, f"stopped by {number.name}")

    outcome = genlab("resume", "run=latest", "output_dir=runs")
    assert outcome.code == 0 and "resumed    at step 13 (interrupted)" in outcome.err
    assert "next       genlab sample run=" in outcome.out
    log = (folder / "train.log").read_text()
    assert f"ERROR stopped by {number.name}" in log and "INFO next       genlab resume run=runs/x/run" in log
    assert "INFO resumed    at step 13 (interrupted)" in log and "INFO steps      14 to 30, of 32" in log
    assert (status(folder)["status"], status(folder)["step"]) == ("finished", 30)
    assert_same_run(whole, folder)
    assert len(json.loads((folder / "environment.json").read_text())["resumed"]) == 1


def test_what_lies_behind_an_earlier_checkpoint_is_done_again(genlab, whole, copy):
    outcome = genlab("resume", f"run={copy}/checkpoints/step_0000024.safetensors")
    assert outcome.code == 0 and "resumed    at step 24" in outcome.err
    assert_same_run(whole, copy)


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_used(genlab, whole, copy):
    os.truncate(copy / "checkpoints/last.safetensors", 5000)
    outcome = genlab("resume", f"run={copy}")
    assert outcome.code == 0 and "Traceback" not in outcome.err
    assert "damaged " in outcome.err and "not a readable checkpoint" in outcome.err
    assert "resumed    at step 24" in outcome.err
    assert_same_run(whole, copy)


def test_a_run_without_a_checkpoint_begins_again(genlab, whole, copy):
    shutil.rmtree(copy / "checkpoints")
    assert "resumed    at step 0" in genlab("resume", f"run={copy}").err
    assert_same_run(whole, copy)


def test_a_finished_run_says_so_and_can_be_made_longer(genlab, copy):
    before = (copy / "checkpoints/last.safetensors").read_bytes()
    outcome = genlab("resume", f"run={copy}")
    assert outcome.code == 0 and f"next       genlab resume run={copy} trainer.max_steps=60" in outcome.out
    assert (copy / "checkpoints/last.safetensors").read_bytes() == before
    outcome = genlab("resume", f"run={copy}", "trainer.max_steps=40", "logger.console=false", "device.micro_batch=16")
    assert outcome.code == 0 and status(copy)["step"] == 40
    assert yaml.safe_load((copy / "config.yaml").read_text())["trainer"]["max_steps"] == 40
    steps = [json.loads(line)["step"] for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert steps == [7, 10, 14, 20, 21, 28, 30, 35, 40, 40], "the row that only the end asked for is gone"


def refusal(genlab, run, *arguments):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    outcome = genlab("resume", *arguments)
    assert outcome.code == 2 and "Traceback" not in outcome.err and "genlab: " in outcome.err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before, "nothing is touched"
    return outcome.err


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["optimizer.lr=0.5"], "optimizer.lr: 0.5 is asked for, the run has 0.002"),
        (["model=gan"], "model=gan: a run that is resumed keeps its model"),
        (["seed=7", "model.beta=2"], "seed: 7 is asked for, the run has 0"),
        (["trainer.max_stepps=7"], "trainer has no key 'max_stepps'; did you mean 'max_steps'?"),
        (["trainer.max_steps=many"], "trainer.max_steps='many': must be a whole number or null"),
        (["trainer.max_steps=20"], "trainer.max_steps=20: this run has made 30 steps"),
        (["trainer.max_steps=40", "device.precision=fp7"], "device.precision=fp7: must be one of fp32, "),
        (["+trainer.max_steps=40"], "+trainer.max_steps=40: write key=value, with one value"),
        (["trainer.max_steps=40,50"], "trainer.max_steps=40,50: write key=value, with one value"),
        (["-m"], "-m: no such option"),
    ],
)
def test_what_would_be_another_run_is_refused(overrides, said, genlab, whole):
    assert said in refusal(genlab, whole, f"run={whole}", *overrides)


def test_what_the_run_has_may_be_repeated_and_its_data_held_in_another_way(genlab, copy):
    same = ["optimizer.lr=0.002", "model=vae", "loader.storage=stream"]
    assert genlab("resume", f"run={copy}", *same, "trainer.max_steps=33").code == 0


def environment(run, part, **changes):
    """Change what a run has recorded about its environment."""
    record = json.loads((run / "environment.json").read_text())
    record[part] |= changes
    (run / "environment.json").write_text(json.dumps(record))


def test_other_data_is_another_run(genlab, copy):
    environment(copy, "data", sha256="0" * 64)
    said = refusal(genlab, copy, f"run={copy}", "trainer.max_steps=40")
    assert "the training data is not what this run began with" in said


def test_other_versions_are_warned_of_once(genlab, copy):
    environment(copy, "packages", torch="1.0")
    outcome = genlab("resume", f"run={copy}", "trainer.max_steps=40")
    assert outcome.code == 0 and outcome.err.count("torch 1.0 then") == 1


def test_places_without_a_run_are_refused(genlab, whole, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "run=empty: no run began in this folder" in refusal(genlab, whole, "run=empty")
    assert "run=nowhere: no such run folder or checkpoint" in refusal(genlab, whole, "run=nowhere")
    assert "no run below elsewhere" in refusal(genlab, whole, "output_dir=elsewhere")


def test_a_link_out_of_the_folder_is_refused(genlab, copy, tmp_path):
    (tmp_path / "outside").mkdir()
    shutil.rmtree(copy / "previews")
    (copy / "previews").symlink_to(tmp_path / "outside")
    assert "previews: is a symbolic link" in refusal(genlab, copy, f"run={copy}", "trainer.max_steps=40")


def test_training_into_a_folder_that_holds_a_run_names_resume(genlab, tiny, whole):
    outcome = genlab("train", *tiny, f"hydra.run.dir={whole}")
    assert outcome.code == 2
    assert f"{whole}: holds a run already; continue it by genlab resume run={whole}" in outcome.err


def test_what_is_asked_of_a_run_outlives_a_process_that_saved_nothing(genlab, copy, stop):
    stop(31, signal.SIGTERM)
    os.truncate(copy / "checkpoints/last.safetensors", 0)  # so that no checkpoint of the longer run is left
    outcome = genlab("resume", f"run={copy}", "trainer.max_steps=60", "trainer.checkpoint_every=8")
    assert outcome.code == 143
    (copy / "checkpoints/last.safetensors").unlink()
    outcome = genlab("resume", f"run={copy}")
    assert outcome.code == 0 and status(copy)["step"] == 60


def test_epochs_do_not_win_over_the_steps_that_a_run_counts(genlab, copy):
    said = refusal(genlab, copy, f"run={copy}", "trainer.max_epochs=50")
    assert "trainer.max_epochs: the run counts steps, which win; add trainer.max_steps=null" in said
    outcome = genlab("resume", f"run={copy}", "trainer.max_epochs=0.7", "trainer.max_steps=null")
    assert outcome.code == 0 and status(copy)["step"] == 36


def test_a_checkpoint_elsewhere_belongs_to_no_run(genlab, whole, tmp_path):
    (tmp_path / "backup").mkdir()
    shutil.copy(whole / "checkpoints/last.safetensors", tmp_path / "backup")
    assert "lies in no run's checkpoints folder" in refusal(genlab, whole, "run=backup/last.safetensors")


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("step", "7", "step=7: must be a whole number of at least 0"),
        ("metric_window", None, "metric_window: is no group of entries"),
        ("callbacks", {}, "callbacks: are not those of a run"),
    ],
)
def test_a_state_that_no_run_can_resume_from_is_refused(name, value, said, genlab, copy):
    path = copy / "checkpoints/last.safetensors"
    checkpoint.save({**checkpoint.load(path), name: value}, path)
    assert said in refusal(genlab, copy, f"run={path}", "trainer.max_steps=40")


def test_a_damaged_record_of_the_environment_is_named(genlab, copy):
    (copy / "environment.json").write_text("[]")
    assert "environment.json: is damaged" in refusal(genlab, copy, f"run={copy}", "trainer.max_steps=40")
