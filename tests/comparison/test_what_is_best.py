"""Which run is called the best: only where values have a direction, and were measured on the same data, in one way."""

import json

import lab
import pytest
from test_comparison import read, write_run

from genlab.commands.compare import main
from genlab.comparison.comparison import compare
from genlab.comparison.page import page
from genlab.config.commands import CompareConfig
from genlab.config.options import class_of
from genlab.metrics.catalogue import METRICS, ranking


def evaluated(folder, values=(("frechet_distance", 1.0),), **protocol):
    entries = {name: {"value": value, "direction": "min", "protocol": protocol} for name, value in values}
    (folder / "evaluation.json").write_text(json.dumps({"metrics": entries}))


def winners(comparison):
    return [name for name in comparison.metrics if comparison.best(name)]


WITHOUT = [
    "validation/kl",
    "validation/kl/a",
    "validation/kl_per_dim",
    "validation/perplexity",
    "validation/posterior_std",
    "validation/total_correlation",
    "validation/active_units",
    "validation/discriminator/loss",
    "validation/discriminator_accuracy",
    "evaluation/copying_gap",
    "evaluation/total_correlation",
    "evaluation/class_entropy",
]


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_direction_ranks_nothing_whatever_a_run_says(name, tmp_path):
    for number, value in enumerate((0.1, 0.2)):
        folder = write_run(tmp_path / f"{number}", {name: value}, model__latent_dim=number)
        state = json.loads((folder / "status.json").read_text())
        state["directions"] = {name: "min", "validation/elbo": "max"}
        (folder / "status.json").write_text(json.dumps(state))
    comparison = compare(read(tmp_path))
    assert comparison.metric == name and comparison.best(name) is None
    assert "lower is better" not in page(comparison, "runs")
    assert compare(read(tmp_path), name, "min").best(name).name == "0", "unless the user says it"


def test_directions_are_those_of_the_catalogue():
    own = {f"evaluation/{name}": d for metric in METRICS.values() for name, d in metric.directions.items()}
    assert ranking(own) == {name: direction for name, direction in own.items() if direction}
    assert ranking({"evaluation/recall": "min", "validation/mse": "min", "validation/odd": "down"}) == {
        "evaluation/recall": "max",
        "validation/mse": "min",
    }


@pytest.mark.parametrize("model", lab.MODELS)
def test_models_rank_by_what_has_a_direction(model):
    own = {f"validation/{name}": direction for name, direction in class_of("model", model).metrics.items()}
    assert ranking(own) == own


def record_data(folder, **data):
    (folder / "environment.json").write_text(json.dumps({"data": data}))


DATA = {
    "another dataset": ({"choices__dataset": "mnist"}, {}, "digits, mnist"),
    "another size": ({"dataset__size": 32}, {}, "dataset.size 16, 32"),
    "another split": ({"dataset__validation_fraction": 0.5}, {}, "dataset.validation_fraction 0.1, 0.5"),
    "a derived pair": ({"dataset__pair": "gray"}, {}, "dataset.pair None, gray"),
    "a setting that the other has not": ({"dataset__binarize": "static"}, {}, "dataset.binarize None, static"),
    "another folder": ({"dataset__path": "/b"}, {"sha256": None}, "dataset.path /a, /b"),
    "another folder of the same size": ({"dataset__path": "/b"}, {"sha256": "cd"}, "dataset.path /a, /b"),
    "other files in the same place": ({}, {"sha256": "cd"}, "the same settings, other content"),
    "more files": ({"dataset__seed": 1}, {"sha256": "cd", "examples": 11}, "10, 11 training examples"),
    "the same, moved": ({"dataset__path": "/b"}, {}, None),
    "the same, split by another seed": ({"dataset__seed": 1}, {"sha256": "cd"}, "split by other seeds"),
    "the same, whatever the seed": ({"dataset__seed": 1}, {}, None),
}


@pytest.mark.parametrize("case", DATA)
def test_there_is_no_winner_over_different_data(case, tmp_path, capsys):
    settings, data, reason = DATA[case]
    common = {"choices__dataset": "digits", "dataset__size": 16, "dataset__validation_fraction": 0.1}
    common |= {"dataset__path": "/a", "dataset__seed": 0}
    for name, own, record in (("a", {}, {}), ("b", settings, data)):
        folder = write_run(
            tmp_path / name, {"validation/elbo": -1.0}, **common | {"model__latent_dim": ord(name)} | own
        )
        found = {"examples": 10, "sha256": "ab", **record}
        record_data(folder, **{key: value for key, value in found.items() if value is not None})
    comparison = compare(read(tmp_path))
    assert comparison.caution == (reason and f"measured on different data ({reason})")
    main(CompareConfig(runs=str(tmp_path), metric=None, direction=None, output=None))
    shown = capsys.readouterr().out
    if reason:
        assert not winners(comparison) and f"no run is the best: measured on different data ({reason})" in shown
        assert 'class="card best"' not in (tmp_path / "comparison.html").read_text()
    else:
        assert winners(comparison) == ["validation/elbo"] and "no run" not in shown


WAYS = [("extractor", "pixels", "inception"), ("num_samples", 100, 400), ("data_sha256", "ab", "cd")]


@pytest.mark.parametrize(("key", "one", "other"), WAYS)
def test_there_is_no_winner_over_different_protocols(key, one, other, tmp_path, capsys):
    for name, value in (("a", one), ("b", other)):
        settings = {"choices__dataset": "digits", "dataset__seed": 0, "model__latent_dim": ord(name)}
        evaluated(write_run(tmp_path / name, {}, **settings), dataset="digits", **{key: value})
    assert winners(compare(read(tmp_path))) == []
    main(CompareConfig(runs=str(tmp_path), metric=None, direction=None, output=None))
    assert f"values that differ in {key} are not compared" in capsys.readouterr().out


def test_repeats_of_data_that_were_moved_stay_repeats(tmp_path):
    for seed, place, sha256 in ((0, "/a", "ab"), (1, "/b", "ab")):
        settings = {"choices__dataset": "npz", "dataset__seed": 0, "dataset__path": place, "seed": seed}
        record_data(write_run(tmp_path / str(seed), {"validation/elbo": -1.0}, **settings), examples=9, sha256=sha256)
    (row,) = compare(read(tmp_path)).rows
    assert len(row.records) == 2


def test_repeats_that_split_their_data_by_other_seeds_stay_repeats(tmp_path):
    for seed, sha in enumerate(("ab", "cd")):
        folder = write_run(tmp_path / f"{seed}", {}, choices__dataset="digits", dataset__seed=seed, seed=seed)
        evaluated(folder, dataset="digits", data_sha256=sha)
    (row,) = compare(read(tmp_path)).rows
    assert row.estimate("evaluation/frechet_distance").count == 2


def test_mixed_runs_are_compared_by_the_evaluation_that_they_share(tmp_path, capsys):
    """A VAE has no averaged weights and a cGAN samples by class: nobody chose that, so it separates nothing."""
    values = {"vae": 3.0, "gan": 1.0, "cgan": 2.0}
    kinds = {"vae": "vae.VAE", "gan": "gan.GAN", "cgan": "cgan.CGAN"}
    for name, value in values.items():
        final = {"validation/elbo": 1.0, "validation/mse": 1.0} if name == "vae" else {"validation/diversity": 1.0}
        ema = {} if name == "vae" else {"trainer__ema": 0.9}
        folder = write_run(tmp_path / name, final, model=f"genlab.models.{kinds[name]}", **ema)
        protocol = {"weights": "averaged" if ema else "raw"}
        protocol |= {"condition": {"label": "in turn"}} if name == "cgan" else {}
        evaluated(folder, [("frechet_distance", value), ("recall", 1 / value)], **protocol)
    comparison = compare(read(tmp_path))
    assert comparison.metrics[:2] == ["evaluation/frechet_distance", "evaluation/recall"]
    assert comparison.best("evaluation/frechet_distance").name == "gan" and comparison.best("validation/elbo") is None
    main(CompareConfig(runs=str(tmp_path), metric=None, direction=None, output=None))
    out = capsys.readouterr().out
    assert "evaluation/frechet_distance" in out.splitlines()[0] and "evaluation/recall" in out.splitlines()[0]
    assert out.splitlines()[-1] == f"next       genlab info run={tmp_path}/gan"


def test_weights_that_someone_chose_are_another_protocol(tmp_path):
    for name, weights in (("a", "raw"), ("b", "averaged")):
        evaluated(write_run(tmp_path / name, {}, trainer__ema=0.9, model__latent_dim=ord(name)), weights=weights)
    assert winners(compare(read(tmp_path))) == []
