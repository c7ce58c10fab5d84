"""`genlab compare` as a person types it, on a real sweep and on requests that cannot be met."""

import csv
import json
import shutil

import pytest


@pytest.fixture
def runs(trained, tmp_path):
    """Three runs of one real training: two seeds, and one with another rate; the last is the best."""
    _, folder = trained
    for name, (old, new), elbo in (
        ("0", ("", ""), -9.0),
        ("1", ("seed: 0", "seed: 1"), -7.0),
        ("2", ("lr: 0.002", "lr: 0.1"), -5.0),
    ):
        copy = tmp_path / "sweep" / name
        copy.mkdir(parents=True)
        shutil.copytree(folder / "previews", copy / "previews")
        shutil.copy(folder / "metrics.jsonl", copy)
        config = (folder / "config.yaml").read_text()
        assert old in config
        (copy / "config.yaml").write_text(config.replace(old, new))
        status = json.loads((folder / "status.json").read_text())
        status["final"]["validation/elbo"] = elbo
        (copy / "status.json").write_text(json.dumps(status))
    return tmp_path / "sweep"


def test_a_sweep_becomes_a_table_a_csv_and_a_page(runs, genlab):
    outcome = genlab("compare", f"runs={runs}")
    assert outcome.code == 0 and not outcome.err
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 120 + len(str(runs))
    assert lines[0].split()[:4] == ["run", "seeds", "optimizer.lr", "validation/elbo"]
    assert lines[1].split()[:4] == ["2", "1", "0.1", "-5"]
    assert lines[2].startswith("0, 1") and "-8.0 ± 1.4" in lines[2]
    assert "sorted     by validation/elbo, descending" in outcome.out
    assert lines[-1] == f"next       genlab info run={runs}/2", "which any run can do"
    with (runs / "comparison.csv").open() as file:
        table = list(csv.DictReader(file))
    settings = [(line["run"], line["seed"], line["optimizer.lr"]) for line in table]
    assert settings == [("2", "0", "0.1"), ("0", "0", "0.002"), ("1", "1", "0.002")]
    assert [float(line["validation/elbo"]) for line in table] == [-5, -9, -7]
    page = (runs / "comparison.html").read_text()
    assert page.count("<img") == 9 and "3 runs side by side" in page


def test_chosen_runs_metric_direction_and_folder(runs, genlab, tmp_path):
    outcome = genlab(
        "compare", f"runs=[{runs}/0,{runs}/2]", "metric=validation/elbo", "direction=min", "output=results"
    )
    assert outcome.code == 0, outcome.err
    assert [line.split()[0] for line in outcome.out.splitlines()[1:3]] == ["0", "2"]
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"comparison.csv", "comparison.html"}
    assert genlab("compare", f"runs=[{runs}/0,{runs}/2]").code == 0
    assert (runs / "comparison.html").is_file(), "the folder that they have in common"


def test_a_run_alone_is_a_table_too(runs, genlab):
    outcome = genlab("compare", f"runs={runs}/0")
    assert outcome.code == 0 and len(outcome.out.split("\n\n")[0].splitlines()) == 2
    assert (runs / "0/comparison.html").is_file()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["runs=."], "runs=.: no run there; train one with: genlab train"),
        (["runs=null"], "runs=None: must be a folder or a list of folders"),
        (["runs=SWEEP", "metric=nonsense"], "metric=nonsense: no run has it; there are: validation/"),
        (["runs=SWEEP", "direction=up"], "direction=up: must be one of min, max"),
        (["runs=SWEEP", "output=SWEEP/0/config.yaml/x"], "name another folder: output=FOLDER"),
        (["run=SWEEP"], "the config has no key 'run'; did you mean 'runs'?"),
        (["--all"], "--all: no such option; see genlab compare --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(arguments, message, runs, refused, tmp_path):
    if arguments == ["runs=."]:
        shutil.rmtree(runs)
    assert message in refused("compare", *(argument.replace("SWEEP", str(runs)) for argument in arguments))


def test_runs_of_which_none_can_be_read(runs, refused):
    for name in "012":
        (runs / name / "status.json").unlink()
    text = refused("compare", f"runs={runs}", problems=4)
    assert "no run there can be read" in text and text.count("has no status.json") == 3
