"""Runs side by side, on folders written by hand: what is read, how runs are grouped and sorted, what the page holds."""

import json
import os
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from genlab.comparison.comparison import compare
from genlab.comparison.page import page
from genlab.comparison.records import collect, find_runs, read_run
from genlab.config.check import locate

VAE = "genlab.models.vae.VAE"


def write_run(folder: Path, final: dict, curves: list[dict] = (), model=VAE, status="finished", step=30, **settings):
    """A run folder as training leaves it; `settings` by dotted key with __ for the dot."""
    config = {"choices": {"model": model.rpartition(".")[2].lower()}, "model": {"_target_": model}, "seed": 0}
    for key, value in settings.items():
        node = config
        *above, last = key.split("__")
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    ranking = {f"validation/{name}": direction for name, direction in locate("model", model).metrics.items()}
    state = {"status": status, "step": step, "steps_per_second": 10.0, "alarms": [], "final": final}
    state["directions"] = ranking
    (folder / "status.json").write_text(json.dumps(state))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curves))
    return folder


def read(*places):
    records, problems = collect(find_runs(places))
    assert not problems
    return records


def test_runs_are_found_at_any_depth_once_and_in_order(tmp_path):
    for name in ("sweeps/day/10", "sweeps/day/2", "alone"):
        write_run(tmp_path / name, {})
    (tmp_path / "sweeps/day/2/.hydra").mkdir()
    (tmp_path / "sweeps/day/2/.hydra/config.yaml").write_text("{}")
    found = find_runs([tmp_path, tmp_path / "alone"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["alone", "sweeps/day/2", "sweeps/day/10"]
    assert find_runs([tmp_path / "alone"]) == [tmp_path / "alone"]
    assert find_runs([tmp_path / "sweeps/day/2/.hydra"]) == []


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch, caplog):
    write_run(tmp_path / "good" / "run", {})
    (tmp_path / "closed").mkdir()
    honest = os.scandir

    def scandir(path):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(find_runs([tmp_path])) == 1
    assert "closed cannot be listed (Permission denied)" in caplog.text


def test_runs_that_differ_by_seed_alone_share_a_row(tmp_path):
    values = {0: -100.0, 1: -103.0, 2: -98.5}
    for seed, value in values.items():
        settings = {"seed": seed, "dataset__seed": seed, "output_dir": f"place {seed}"}
        write_run(tmp_path / f"{seed}", {"validation/elbo": value}, **settings)
    write_run(tmp_path / "3", {"validation/elbo": -99.0}, optimizer__lr=0.1)
    comparison = compare(read(tmp_path))
    alone, together = comparison.rows
    assert (alone.name, together.name) == ("3", "0, 1, 2")
    estimate = together.estimate("validation/elbo")
    assert estimate.mean == pytest.approx(statistics.mean(values.values()))
    assert estimate.std == pytest.approx(statistics.stdev(values.values())) and estimate.count == 3
    assert str(estimate) == "-100.5 ± 2.3"
    assert alone.estimate("validation/elbo").std is None and str(alone.estimate("validation/elbo")) == "-99"
    assert comparison.differing == comparison.keys == ["optimizer.lr"]


def test_a_seed_that_was_run_twice_is_no_repeat(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_run(tmp_path / name, {"validation/elbo": 1.0}, seed=seed)
    assert sorted(row.name for row in compare(read(tmp_path)).rows) == ["a, c", "b"]


def test_where_runs_were_logged_does_not_set_them_apart(tmp_path):
    write_run(tmp_path / "0", {"validation/elbo": -100.0}, seed=0, logger__csv=True)
    write_run(tmp_path / "1", {"validation/elbo": -102.0}, seed=1, logger__csv=False)
    compared = compare(read(tmp_path))
    assert len(compared.rows) == 1 and compared.differing == []


def test_a_run_without_the_metric_counts_in_no_mean_and_comes_last(tmp_path):
    write_run(tmp_path / "0", {}, status="failed", step=3, model__latent_dim=2)
    write_run(tmp_path / "1", {"validation/elbo": -5.0}, seed=0)
    write_run(tmp_path / "2", {}, status="failed", step=7, seed=1)
    write_run(tmp_path / "3", {"validation/elbo": float("nan")}, model__latent_dim=9)
    rows = compare(read(tmp_path)).rows
    assert rows[0].name == "1, 2" and rows[0].estimate("validation/elbo").count == 1
    assert rows[0].status == "1 finished, 1 failed" and rows[0].steps == "7 to 30"
    assert {row.name for row in rows[1:]} == {"0", "3"}


def test_sorting_follows_what_the_models_say(tmp_path):
    for name, elbo, mse in (("a", -3.0, 0.1), ("b", -1.0, 0.3), ("c", -2.0, 0.2)):
        final = {"validation/mse": mse, "validation/elbo": elbo, "validation/odd": mse}
        write_run(tmp_path / name, final, model__latent_dim=ord(name))
    records = read(tmp_path)

    def order(*request):
        comparison = compare(records, *request)
        return comparison.metric, [row.name for row in comparison.rows]

    assert order() == ("validation/elbo", ["b", "c", "a"]), "the metric that ranks a VAE, the highest first"
    assert order("validation/mse") == ("validation/mse", ["a", "c", "b"]), "an error, the lowest first"
    assert order("validation/mse", "max")[1] == ["b", "c", "a"]
    assert order("validation/odd")[1] == ["a", "c", "b"] and compare(records).best("validation/odd") is None
    assert compare(records).best("validation/mse").name == "a"


def test_models_of_different_kinds_are_sorted_by_what_they_share(tmp_path):
    write_run(tmp_path / "vae", {"validation/elbo": -1.0, "validation/mse": 0.2})
    write_run(tmp_path / "ae", {"validation/mse": 0.1}, model="genlab.models.ae.AE")
    comparison = compare(read(tmp_path))
    assert comparison.metric == "validation/mse" and [row.name for row in comparison.rows] == ["ae", "vae"]
    assert comparison.rows[1].label == "vae"


def test_numbers_on_different_data_come_with_a_caution(tmp_path):
    for name in ("mnist", "digits"):
        write_run(tmp_path / name, {"validation/elbo": -1.0}, choices__dataset=name)
    comparison = compare(read(tmp_path))
    assert comparison.caution == "measured on different data (digits, mnist)"
    assert comparison.caution in page(comparison, "runs")
    assert compare(read(tmp_path / "mnist")).caution is None


def test_an_unknown_metric_is_explained(tmp_path):
    write_run(tmp_path / "a", {"validation/elbo": 1.0})
    for asked in ("elbo", "validation/elbow"):
        with pytest.raises(ValueError, match=rf"metric={asked}: no run has it; did you mean 'validation/elbo'\?"):
            compare(read(tmp_path), asked)
    write_run(tmp_path / "sub/b", {})
    with pytest.raises(ValueError, match="no run has measured anything yet"):
        compare(read(tmp_path / "sub"), "validation/elbo")
    assert compare(read(tmp_path / "sub")).metric is None


def test_evaluations_join_the_metrics_with_their_direction(tmp_path):
    for name, value in (("a", 0.2), ("b", 0.9)):
        write_run(tmp_path / name, {"validation/elbo": 1.0}, model__latent_dim=ord(name))
        metrics = {
            "recall": {"value": value, "std": None, "direction": "max"},
            "odd": {"value": 1, "std": 0.1, "direction": None},
        }
        (tmp_path / name / "evaluation.json").write_text(json.dumps({"metrics": metrics}))
    comparison = compare(read(tmp_path), "evaluation/recall")
    assert [row.name for row in comparison.rows] == ["b", "a"]
    assert {"evaluation/recall", "evaluation/odd", "validation/elbo"} == {*comparison.metrics}


def test_numbers_measured_in_other_ways_are_never_mixed(tmp_path):
    for seed, num_samples in enumerate((20, 400, 400)):
        folder = write_run(tmp_path / f"{seed}", {"evaluation/recall": 0.1}, seed=seed)
        shared = {"extractor": "pixels", "extractor_sha256": "ab" * 32, "step": seed, "seed": seed}
        entry = {"value": 1.0 + seed, "direction": "min", "protocol": {**shared, "num_samples": num_samples}}
        (folder / "evaluation.json").write_text(json.dumps({"metrics": {"frechet_distance": entry}}))
    entry = {"value": 0.9, "direction": "max", "protocol": {"num_samples": 400}}
    path = tmp_path / "2/evaluation.json"
    path.write_text(json.dumps({"metrics": {**json.loads(path.read_text())["metrics"], "recall": entry}}))
    (row,) = (comparison := compare(read(tmp_path))).rows
    assert row.estimate("evaluation/frechet_distance") is None
    assert row.estimate("evaluation/frechet_distance [num_samples=20]").count == 1
    both = row.estimate("evaluation/frechet_distance [num_samples=400]")
    assert (both.count, both.mean) == (2, 2.5), "steps and seeds may differ"
    in_training = [name for name in comparison.metrics if "measured=in training" in name]
    assert [row.estimate(name).count for name in in_training] == [2]
    assert comparison.directions["evaluation/frechet_distance [num_samples=400]"] == "min"


def test_what_is_no_direction_or_contradicted_ranks_nothing(tmp_path):
    folders = [write_run(tmp_path / name, {"validation/elbo": 1.0}, model__latent_dim=ord(name)) for name in "ab"]
    odd = {"validation/odd": None, "validation/word": "up", "validation/list": ["min"]}
    for folder, direction in zip(folders, ("min", "max"), strict=True):
        state = json.loads((folder / "status.json").read_text())
        state["directions"] = {"validation/elbo": direction, **odd}
        (folder / "status.json").write_text(json.dumps(state))
        assert read_run(folder, "run").directions == {"validation/elbo": direction}
    comparison = compare(read(tmp_path))
    assert comparison.directions == {} and comparison.best("validation/elbo") is None


def test_of_the_rows_the_unfinished_one_is_not_shown_and_the_later_values_are(tmp_path):
    rows = [{"step": step, "train/loss": value} for step, value in ((1, 9.0), (2, 8.0), (3, 7.0), (2, 6.0))]
    folder = write_run(tmp_path / "run", {}, rows, status="running")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "train/lo')
    record = read_run(folder, "run")
    assert record.curves == {"train/loss": [(1, 9.0), (2, 6.0), (3, 7.0)]} and "unfinished" in record.notes[0]


class Reader(HTMLParser):
    """Collects tags with their attributes, and text; checks that tags close, and that there are no comments."""

    VOID = {"meta", "br", "img"}

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def imaged_runs(tmp_path):
    for seed in (0, 1):
        for latents in (2, 4):
            curves = [{"step": s, "train/loss": 9.0 / s, "validation/elbo": -s / latents} for s in range(1, 4)]
            final = {"validation/elbo": -3.0 / latents - seed}
            folder = write_run(tmp_path / f"{seed}-{latents}", final, curves, seed=seed, model__latent_dim=latents)
            (folder / "previews").mkdir()
            for step in (1, 20):
                Image.new("RGB", (500, 250), (step, 0, 0)).save(folder / f"previews/step_{step:07d}-samples.png")
    return tmp_path


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    reader = Reader(page(compare(read(imaged_runs(tmp_path))), "runs"))
    images = [attributes["src"] for attributes in reader.all("img")]
    assert len(images) == 4 and all(source.startswith("data:image/webp;base64,") for source in images)
    addresses = [a.get(key) for _, a in reader.tags for key in ("src", "href", "action", "data") if a.get(key)]
    assert addresses == images and not reader.all("link")
    assert len(reader.all("svg")) == 2, "a chart for the loss and one for the ELBO"
    assert len(reader.all("polyline")) == 8
    colours = {attributes["style"] for attributes in reader.all("g")}
    assert len(colours) == 4, "one colour a run, the same in every chart"
    words = " ".join(reader.text)
    assert "4 runs side by side" in words and "latent_dim 4" in words and "higher is better" in words
    marked = [attributes for attributes in reader.all("td") if "top" in attributes.get("class", "")]
    assert [float(attributes["data-value"]) for attributes in marked] == [-1.25]


@pytest.mark.parametrize(
    "values",
    [[1.0], [0.0, 0.0], [float("nan")] * 3, [1e308, -1e308], [5e-324, 1e300], [1e9, 1e9 + 1]],
    ids=str,
)
def test_any_curve_can_be_drawn(values, tmp_path):
    curves = [{"step": step, "train/loss": value} for step, value in zip((-1e308, 5, 1e308), values, strict=False)]
    for name in ("a", "b"):
        write_run(tmp_path / name, {"validation/elbo": values[0]}, curves, seed=ord(name))
    text = page(compare(read(tmp_path)), "runs")
    assert "nan," not in text and "inf," not in text and len(Reader(text).all("table")) == 2


def test_nothing_slow_is_imported(tmp_path):
    imaged_runs(tmp_path)
    program = (
        "import sys; from genlab.cli import main; from genlab.commands.compare import show\n"
        "assert 'jinja2' not in sys.modules, 'only the page needs it'\n"
        f"try: main(['compare', 'runs={tmp_path}'])\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "slow = {'torch', 'matplotlib', 'sklearn', 'tensorboard'} & set(sys.modules); assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_null_is_a_value_that_was_not_finite(tmp_path):
    curves = [{"step": 1, "validation/elbo": None}, {"step": 2, "validation/elbo": -3.0}]
    (record,) = read(write_run(tmp_path / "a", {"validation/elbo": None}, curves))
    assert record.metrics == {} and record.curves == {"validation/elbo": [(2, -3.0)]}
