"""What fits a run is measured, repeats agree, and every number carries its protocol; for every model."""

import json
import math
import os
from functools import cache
from pathlib import Path

import lab
import pytest
import torch
from representatives import REPRESENTATIVES

from genlab.contract.settings import EvaluationConfig
from genlab.data.loading import as_examples
from genlab.data.shapes import Shapes
from genlab.data.source import ArrayExamples
from genlab.evaluation import context as contexts
from genlab.evaluation import sample_metrics
from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.evaluate import _entry, evaluate, write
from genlab.evaluation.sample_metrics import SAMPLE_METRICS, nearest_images
from genlab.inference.run import Run
from genlab.metrics.catalogue import METRICS, directions_of
from genlab.models.cyclegan import CycleGAN
from genlab.models.gan import GAN
from genlab.models.vae import VAE

SETTINGS = EvaluationConfig(None, {}, 130, "random-conv", importance_samples=3, repeats=1, nearest=2)


def subject(model, *overrides, source=None, **settings) -> tuple[Run, EvaluationContext]:
    """An untrained run of `model` and what measures it on its data."""
    config = lab.compose(model, *overrides)
    source = source or lab.examples(config, validation=100)
    trainer = lab.trainer(config, source)
    run = Run(None, 0, config, source.spec, trainer.model.eval(), lab.CPU)
    return run, EvaluationContext(source, "noise", EvaluationConfig(**{**vars(SETTINGS), **settings}), config, lab.CPU)


def training_images(context):
    return as_examples(context.table("train").load()["x"], context.source.spec["x"])


@pytest.fixture(scope="module")
def entries_of(tmp_path_factory):
    """What fits a model, measured once: run, context, names of metrics, entries."""

    @cache
    def make(model):
        reads = {} if lab.own_kind(model) == "image" else {"extractor": "auto"}
        run, context = subject(model, **reads)
        names = choose(run, context, None)
        return run, context, names, evaluate(run, context, names, seed=1)

    return make


@pytest.mark.parametrize("model", [model for model in lab.MODELS if lab.own_class(model)])
def test_measures_what_fits_every_model_repeats_it_and_disturbs_no_generator(model, entries_of):
    run, context, names, entries = entries_of(model)
    assert names, "there is something to say of every model"
    assert entries.keys() <= directions_of(names).keys(), "every number is announced"
    for name, entry in entries.items():
        assert entry["value"] == pytest.approx(entry["values"][0]) and torch.tensor(entry["value"]).isfinite(), name
        assert entry["direction"] in ("min", "max", None)
        protocol = entry["protocol"]
        assert (protocol["split"], protocol["step"], protocol["weights"]) == ("validation", 0, "averaged")
        assert len(protocol["data_sha256"]) == 64
        assert protocol.get("seed", 1) == 1
    json.dumps(entries, allow_nan=False)
    state = torch.get_rng_state()
    assert evaluate(run, context, names, seed=1) == entries, "an evaluation is a function of its seed"
    assert torch.equal(torch.get_rng_state(), state)


def test_a_protocol_claims_nothing_that_played_no_part(entries_of):
    _, context, _, entries = entries_of("vae")
    reading = {name for name, entry in entries.items() if "extractor" in entry["protocol"]}
    assert {"frechet_distance", "kernel_distance", "precision"} <= reading
    assert not {"elbo", "mse", "active_units", "copying_gap"} & reading
    drawn = {name for name, entry in entries.items() if "num_samples" in entry["protocol"]}
    assert {"frechet_distance", "copying_gap"} <= drawn and not {"elbo", "mse", "active_units"} & drawn
    assert "seed" in entries["elbo"]["protocol"] and "seed" not in entries["mse"]["protocol"]
    for model, noisy in (("made", False), ("nice", True), ("nsf", False)):  # noise is added to grey levels alone
        assert ("seed" in entries_of(model)[-1]["log_likelihood"]["protocol"]) == noisy, model
    assert entries_of("made")[-1]["log_likelihood"]["protocol"]["binarize"] == "dynamic"
    assert "binarize" not in entries["elbo"]["protocol"]
    assert entries["frechet_distance"]["protocol"]["extractor_sha256"] == context.extractor.identity
    assert set(entries["kernel_distance"]["protocol"]["extractor_controls"]["coverage"]) == {"real", "blurred", "noise"}
    assert "out of order" in entries["kernel_distance"]["protocol"]["extractor_objection"], "its images are noise"


def test_no_extractor_is_made_for_what_reads_nothing(monkeypatch):
    monkeypatch.setattr(contexts, "choose_extractor", None)  # making one would fail
    run, context = subject("vae")
    entries = evaluate(run, context, choose(run, context, ["likelihood", "reconstruction", "latents", "copies"]))
    assert all(entry["value"] is not None for entry in entries.values())


def test_copies_of_training_images_are_found_out_among_all_of_them():
    source = lab.RandomExamples(VAE, train=500, validation=40)
    run, context = subject("gan", source=source)
    honest = evaluate(run, context, ["copies"])
    train = training_images(context)
    run.model.sample = lambda count, condition=None: train[torch.randint(len(train), (count,))]
    copied = evaluate(run, context, ["copies"])
    assert (copied["copying_gap"]["value"], copied["closer_than_held_out"]["value"]) == (1, 1)
    assert honest["copying_gap"]["value"] < 0.5
    assert copied["copying_gap"]["protocol"]["training_images"] == 500


def test_a_set_of_one_image_gives_valid_json(tmp_path):
    source = lab.RandomExamples(VAE, validation=1)
    run, context = subject("vae", source=source)
    names = choose(run, context, None)
    assert not {"manifold", "kernel", "frechet"} & set(names)
    entries = evaluate(run, context, names)
    assert entries["mse"]["std"] is None and "total_correlation" not in entries
    write(entries, tmp_path / "evaluation.json")
    with pytest.raises(ValueError, match="metrics=kernel: needs 50 real images or more, and validation of noise has 1"):
        choose(run, context, ["kernel"])


@pytest.mark.parametrize(
    "metric, samples, images, message",
    [
        ("kernel", 8, 100, "needs num_samples=50 or more, not 8"),
        ("kernel", 300, 49, "needs 50 real images or more, and validation of noise has 49"),
        ("frechet", 64, 100, "needs num_samples=65 or more, more than extractor random-conv has features, not 64"),
        ("frechet", 300, 64, "needs 65 real images or more, more than extractor random-conv has features"),
        ("manifold", 5, 100, "needs num_samples=6 or more, not 5"),
        ("manifold", 300, 5, "needs 6 real images or more"),
    ],
)
def test_too_few_images_for_a_figure_are_refused_with_the_least_number(metric, samples, images, message, caplog):
    run, context = subject("gan", source=lab.RandomExamples(GAN, validation=images), num_samples=samples)
    with pytest.raises(ValueError, match=f"metrics={metric}: {message}"):
        choose(run, context, [metric])
    assert metric not in choose(run, context, None)
    assert f"{metric}: left out: {message}" in caplog.text


def test_a_translation_of_few_images_has_no_kernel_distance(caplog):
    run, context = subject("cyclegan", source=lab.RandomExamples(CycleGAN, validation=8))
    found = set(evaluate(run, context, ["translation"]))
    assert found == {f"{name}/{domain}" for name in ("cycle_error", "content_kept") for domain in ("a", "b")}
    assert "translation_kernel_distance/a, translation_mind/a: left out: need 50 images or more" in caplog.text


def test_a_number_that_is_not_finite_is_noted(tmp_path):
    run, context = subject("vae")
    run.model.reconstruct = lambda x: x
    entry = evaluate(run, context, ["reconstruction"])["psnr"]
    assert entry["value"] is None and entry["note"] == "came out as inf"
    write({"psnr": entry}, tmp_path / "evaluation.json")


def fail(*_):
    raise RuntimeError("a bug")


def failing_pages(run, context, monkeypatch):
    """Most real images are alike."""
    table = context.source.open("validation")[0].load()["x"]
    table[: len(table) // 10 * 9] = 255
    return {"mmd"}, "needs a bandwidth above 0"


def failing_images(run, context, monkeypatch):
    run.model.sample = lambda count, condition=None: torch.full((count, *run.data.shape), math.nan)
    return {"mmd", "sliced_wasserstein", "copying_gap", "closer_than_held_out"}, "has the run diverged"


def failing_function(run, context, monkeypatch):
    monkeypatch.setitem(SAMPLE_METRICS, "mmd", fail)
    return {"mmd"}, "RuntimeError: a bug"


def failing_result(run, context, monkeypatch):
    monkeypatch.setitem(SAMPLE_METRICS, "mmd", lambda *_: sample_metrics.SampleMetric(lambda batch: None, fail))
    return {"mmd"}, "RuntimeError: a bug"


def failing_model(run, context, monkeypatch):
    monkeypatch.setattr(run.model, "reconstruct", fail)
    return {"mse", "psnr", "ssim"}, "RuntimeError: a bug"


@pytest.mark.parametrize("broken", [failing_pages, failing_images, failing_function, failing_result, failing_model])
def test_a_metric_that_fails_is_noted_and_takes_no_other_along(broken, monkeypatch, tmp_path):
    run, context = subject("vae")
    missing, reason = broken(run, context, monkeypatch)
    entries = evaluate(run, context, ["mmd", "sliced_wasserstein", "copies", "reconstruction", "latents"])
    assert {name for name, entry in entries.items() if entry["value"] is None} == missing
    assert all(reason in entries[name]["note"] for name in missing) and entries["active_units"]["value"] >= 0
    write(entries, tmp_path / "evaluation.json")


def test_details_that_are_not_finite_are_null_in_the_file(tmp_path):
    entry = _entry([MetricValue(1.0, math.nan, "images", {"real_std": math.nan})], "min", {})
    assert (entry["std"], entry["std_over"]) == (None, None)
    write({"a": entry}, tmp_path / "evaluation.json")
    assert json.loads((tmp_path / "evaluation.json").read_text())["metrics"]["a"]["protocol"] == {"real_std": None}


@pytest.mark.parametrize("values", [[1.0, math.inf], [math.inf, -math.inf], [math.nan, 1.0]])
def test_a_repeat_that_is_not_finite_leaves_no_mean(values):
    assert _entry([MetricValue(value) for value in values], "min", {})["value"] is None


def test_pairs_are_compared_in_equal_numbers():
    run, context = subject("gan", num_samples=20)
    entries = evaluate(run, context, ["manifold", "mmd", "sliced_wasserstein"])
    for name in ("precision", "mmd", "sliced_wasserstein"):
        assert entries[name]["protocol"]["samples"] == entries[name]["protocol"]["real"] == 20


def test_a_smaller_domain_is_counted_once():
    source = lab.RandomExamples(CycleGAN, validation=40)
    a, b = source.open("validation")
    source.open = lambda split: [a, ArrayExamples(b=b.load()["b"][:12])]
    run, context = subject("cyclegan", source=source)
    entries = evaluate(run, context, ["translation"])
    assert entries["cycle_error/a"]["protocol"]["images"] == 40
    assert entries["cycle_error/b"]["protocol"]["images"] == 12


def test_repeats_draw_anew_and_give_a_deviation():
    run, context = subject("gan", repeats=3)
    entry = evaluate(run, context, ["frechet"])["frechet_distance"]
    assert len(set(entry["values"])) == 3
    assert entry["value"] == pytest.approx(sum(entry["values"]) / 3)
    assert entry["std"] == pytest.approx(torch.tensor(entry["values"], dtype=torch.float64).std().item())
    assert entry["std_over"] == "repeats"


def test_known_factors_are_asked_for_by_the_data():
    source = Shapes(size=16, num_scales=2, num_orientations=4, num_positions=4, validation_fraction=0.9)
    run, context = subject("beta-vae", source=source)
    assert "disentanglement" in choose(run, context, None)
    entries = evaluate(run, context, ["disentanglement"])
    assert {"mig", "sap", "dci_disentanglement", "factor_vae_score", "beta_vae_score"} <= entries.keys()


@pytest.mark.parametrize(
    "model, metric, reason",
    [
        ("gan", "frechett", "'frechet'"),
        ("gan", "likelihood", "model gan cannot bound the likelihood"),
        ("gan", "classes", "extractor=classifier"),
        ("vae", "disentanglement", "noise has no factors"),
        ("vae", "copies", "the data that the run was trained on"),
    ],
)
def test_refuses_what_does_not_fit_and_what_does_not_exist(model, metric, reason):
    run, context = subject(model)
    assert choose(run, context, ["kernel", "frechet", "kernel"]) == ["kernel", "frechet"]
    context.own = False
    assert metric not in choose(run, context, None)
    with pytest.raises(ValueError, match=f"metrics={metric}: .*{reason}"):
        choose(run, context, [metric])


def test_classes_are_read_by_a_classifier_of_the_datasets_labels_whatever_autocast_is_around(monkeypatch):
    names = ["frechet", "mmd", "classes", "inception_score"]
    run, context = subject("cgan", extractor="classifier")
    assert set(names) <= set(choose(run, context, None))
    entries = evaluate(run, context, names)
    assert entries["agreement"]["protocol"]["condition"] == {"label": "in turn"}
    assert entries["classes_covered"]["protocol"]["of"] == 3
    assert 0 <= entries["agreement"]["value"] <= 1 <= entries["inception_score"]["value"]
    monkeypatch.setenv("GENLAB_CACHE", os.environ["GENLAB_CACHE"] + "-another")
    run, context = subject("cgan", extractor="classifier")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert evaluate(run, context, names) == entries


def test_readings_of_real_images_are_kept_and_used_again(monkeypatch):
    _, context = subject("gan")
    first = context.real
    monkeypatch.setattr(contexts, "gather", None)  # reading again would fail
    again = subject("gan")[1].real
    assert torch.equal(first.features, again.features) and first.count == again.count == 100
    assert torch.equal(first.moments.covariance, again.moments.covariance)


def test_batches_beyond_what_is_compared_are_let_go(monkeypatch):
    monkeypatch.setattr(sample_metrics, "COMPARED", 20)
    monkeypatch.setattr(sample_metrics, "_COPYING_SAMPLES", 20)
    _, context = subject("gan")
    of_images = [name for name, metric in METRICS.items() if not (metric.classes or metric.kinds or metric.channels)]
    metrics = [metric(context, 500, 0) for name, metric in SAMPLE_METRICS.items() if name in of_images]
    for _ in range(5):
        images = torch.rand(100, *context.source.spec.shape)
        reading = context.extractor.read(images)
        for metric in metrics:
            metric.update(sample_metrics.SampleBatch(images, None, reading))
    kept = [metric.kept for metric in metrics if metric.kept]
    assert all(part.untyped_storage().nbytes() == part.nbytes for parts in kept for part in parts)
    assert len(kept) == 5 and all(sum(map(len, parts)) == 20 for parts in kept)


def test_memory_is_bounded_by_what_is_kept(monkeypatch):
    monkeypatch.setattr(contexts, "FEATURES_KEPT", 10)
    _, context = subject("gan")
    assert len(context.real.features) == 10 and context.real.count == 100 == context.real.moments.count


def test_shows_samples_above_their_nearest_training_images():
    run, context = subject("gan", nearest=3)
    rows = nearest_images(run, context, seed=0)
    assert rows.shape == (4, 3, *run.data.shape)
    train = training_images(context)
    distances = (train[None] - run.sample(3)[:, None]).flatten(2).norm(dim=2)
    assert torch.equal(rows[1], train[distances.argmin(1)])


def test_what_was_measured_before_stays(tmp_path):
    path = tmp_path / "evaluation.json"
    write({"a": {"value": 1}, "b": {"value": 2}}, path)
    write({"b": {"value": 3}}, path)
    assert json.loads(path.read_text()) == {"metrics": {"a": {"value": 1}, "b": {"value": 3}}}
    path.write_text("half")
    with pytest.raises(ValueError, match="not an evaluation that can be added to"):
        write({}, path)


def measured(model: str) -> dict[str, dict]:
    """Everything that fits a model, on three batches of images and three batches of samples."""
    torch.set_num_threads(1)
    kind = lab.model_class(lab.compose(model))
    run, context = subject(model, source=lab.RandomExamples(kind, validation=520), num_samples=520)
    return evaluate(run, context, choose(run, context, None), seed=1)


def measure_as_a_rank(rank: int, folder: Path) -> None:
    os.environ["GENLAB_CACHE"] = f"{folder}/cache-{rank}"
    for model in REPRESENTATIVES:
        entries = measured(model)
        (folder / f"{model}-{rank}.json").write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes measured of every representative."""
    folder = tmp_path_factory.mktemp("ranks")
    lab.two_processes(measure_as_a_rank, folder)
    return folder


@pytest.mark.representative
@pytest.mark.parametrize("model", REPRESENTATIVES)
def test_two_processes_measure_what_one_does(model, ranks):
    """They share the batches and the samples; the numbers are the same to the bit."""
    first, second = (json.loads((ranks / f"{model}-{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first == json.loads(json.dumps(measured(model)))
