"""How a sweep stands is read from the folders of its jobs."""

import csv
import json
import math
from types import SimpleNamespace

import pytest

from genlab.checkpoints.folder import SweepFolder
from genlab.sweeps.overview import Overview
from genlab.sweeps.progress import ending


class Folder:
    """Jobs as launchers and runs leave them."""

    def __init__(self, place):
        self.place, self.launches = place, 0

    def job(self, number, ended=False, status=None, final=None, failed=None, lr="1e-3"):
        folder = self.place / str(number)
        folder.mkdir(exist_ok=True)
        if status:
            entry = {"status": status, "step": 10, "max_steps": 40, "final": final or {}, "reason": None}
            (folder / "status.json").write_text(json.dumps(entry))
        self.launches += not ended
        record = {"overrides": ["model=vae", f"optimizer.lr={lr}"], "begun": str(self.launches), "ended": ended}
        (folder / "job.json").write_text(json.dumps(record | {"failed": failed}))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def overview(folder, total=3, metric="validation/elbo", direction="max", done=()):
    plan = SimpleNamespace(folder=SweepFolder(folder.place), total=total, varied=["optimizer.lr"])
    return Overview(plan, metric, direction, done)


def words(view):
    view.update()
    return [state.status for state in view.states]


def test_jobs_wait_run_and_end(folder):
    view = overview(folder)
    assert view.update() == [] and words(view) == ["waiting"] * 3
    folder.job(0)
    folder.job(1, status="running")
    assert words(view) == ["running", "running", "waiting"]
    assert [state.done for state in view.states] == [0, 0.25, 0]
    folder.job(0, ended=True, status="finished", final={"validation/elbo": -1.0})
    folder.job(1, ended=True, status="running", failed="no memory\nmore")
    assert [state.number for state in view.update()] == [0, 1]
    assert view.update() == [], "an end is told once"
    assert (view.count("finished"), view.count("failed"), view.count("waiting")) == (1, 1, 1)
    assert ending(view, view.states[0]).split()[:5] == ["job", "0", "finished", "validation/elbo", "-1"]
    assert ending(view, view.states[0]).endswith(" (optimizer.lr=1e-3)")
    assert "no memory" in ending(view, view.states[1]) and "more" not in ending(view, view.states[1])


def test_what_an_earlier_launch_left_says_nothing_until_the_job_begins_again(folder):
    folder.job(0, ended=True, failed="no memory")
    folder.job(1, ended=True, status="finished")
    view = overview(folder)
    assert words(view) == ["waiting"] * 3
    folder.job(0)
    assert words(view) == ["running", "waiting", "waiting"]


def test_a_job_that_failed_and_was_resumed_by_itself_has_finished(folder):
    folder.job(0, ended=True, status="finished", final={"validation/elbo": -1.0}, failed="no memory")
    view = overview(folder, done={0})
    assert (words(view)[0], view.best.number, view.states[0].reason) == ("finished", 0, None)


@pytest.mark.parametrize(("direction", "best"), [("max", 1), ("min", 0), (None, None)])
def test_the_best_is_the_finished_job_with_the_best_number(folder, direction, best):
    view = overview(folder, 4, direction=direction)
    for number, value in enumerate((-3.0, -1.0, math.nan, 5.0)):
        word = "running" if number == 3 else "finished"
        folder.job(number, ended=number != 3, status=word, final={"validation/elbo": value})
    view.update()
    assert (view.best and view.best.number) == best


def test_there_is_no_best_job_over_different_data(folder):
    plan = SimpleNamespace(folder=SweepFolder(folder.place), total=2, varied=["dataset.size"])
    view = Overview(plan, "validation/elbo", "max", same_data=False)
    for number in range(2):
        folder.job(number, ended=True, status="finished", final={"validation/elbo": float(number)})
    view.update()
    assert view.count("finished") == 2 and view.best is None


@pytest.mark.parametrize("content", ["{", "[1]", '{"step": 1, "status": "finished", "final": [], "reason": ""}'])
def test_damaged_files_are_no_news(folder, content):
    view = overview(folder)
    folder.job(0, status="running")
    (folder.place / "0/status.json").write_text(content)
    (folder.place / "1").mkdir()
    (folder.place / "1/job.json").write_text("[]")
    assert words(view) == ["running", "waiting", "waiting"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_the_summary_has_an_empty_cell_for_what_is_not_finite(folder, value):
    view = overview(folder, total=1)
    folder.job(0, ended=True, status="finished", final={"validation/elbo": value, "validation/mse": 2.0})
    view.update()
    view.write()
    rows = list(csv.DictReader(view.folder.summary.open()))
    assert rows[0]["validation/mse"] == "2.0" and not rows[0].get("validation/elbo")
    assert view.best is None
