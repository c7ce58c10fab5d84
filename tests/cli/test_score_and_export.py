"""`genlab score` and `genlab export` on a short real run: files, figures and mistakes."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score
from written import arrays, table

import genlab as package
from genlab.inference.scoring import METHODS


@pytest.fixture
def noise(tmp_path):
    """A folder with 20 images of black and white noise."""
    folder = tmp_path / "noise"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(255 * random.integers(0, 2, (16, 16), dtype=np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def test_scores_of_validation_data(trained, done):
    _, folder = trained
    out, made = done("score", folder, "shown=10")
    assert re.fullmatch("step_0000030-validation-path-[0-9a-f]{6}", made.name)
    rows = table(made / "scores.csv")
    assert [row["name"] for row in rows] == [str(number) for number in range(180)]
    scores = np.array([float(row["score"]) for row in rows])
    found = arrays(made / "scores.npz")
    assert found["scores"].tolist() == scores.tolist()
    assert found["labels"].tolist() == [int(row["label"]) for row in rows]
    assert found["least_likely"].tolist() == np.argsort(-scores, kind="stable")[:10].tolist()
    with Image.open(made / "least_likely.png") as image:
        assert np.asarray(image).std() > 0
    assert f"mean {scores.mean():.5g}, median {np.median(scores):.5g}" in out
    assert f"{made}/scores.csv" in out and f"next       genlab score against=FOLDER run={folder}" in out


def test_scores_of_files_are_those_of_python(trained, done, noise):
    _, folder = trained
    _, made = done("score", folder, f"input={noise}", "method=elbo", "importance_samples=5", "seed=3")
    rows = table(made / "scores.csv")
    assert [row["name"] for row in rows] == [f"{number:02d}.png" for number in range(20)] and "label" not in rows[0]
    images = [np.asarray(Image.open(noise / row["name"])) for row in rows]
    x = torch.from_numpy(np.stack(images))[:, None].float() / 255
    expected = package.load(folder).score(x, "elbo", seed=3, importance_samples=5)
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected, rtol=1e-6)


def test_noise_is_told_from_digits(trained, done, noise):
    out, made = done("score", trained[1], f"against={noise}")
    assert made.name.startswith("step_0000030-validation-path-against_noise-")
    digits, strange = ([float(row["score"]) for row in table(made / name)] for name in ("scores.csv", "against.csv"))
    truth, scores = [0] * 180 + [1] * 20, digits + strange
    report = json.loads((made / "detection.json").read_text())
    assert report["auroc"] == pytest.approx(roc_auc_score(truth, scores)) and report["auroc"] > 0.9
    assert report["aupr"] == pytest.approx(average_precision_score(truth, scores))
    protocol = report["protocol"]
    assert (protocol["method"], protocol["checkpoint_step"], protocol["weights"]) == ("path", 30, "averaged")
    assert (protocol["images"]["count"], protocol["against"]["count"], protocol["seed"]) == (180, 20, 0)
    assert protocol["against"]["mean_score"] == pytest.approx(np.mean(strange))
    assert protocol["against"]["origin"] == {"path": str(noise.resolve())}
    origin = protocol["images"]["origin"]
    assert (origin["dataset"], origin["split"]) == ("digits", "validation")
    assert origin["settings"]["_target_"] == "genlab.data.digits.Digits"
    with Image.open(made / "histogram.png") as image:
        assert np.asarray(image.convert("L")).std() > 0
    assert f"AUROC {report['auroc']:.4f}" in out


def test_a_threshold_calls_outliers_at_a_known_rate_of_mistakes(trained, done, noise):
    out, made = done("score", trained[1], f"input={noise}", "against=digits", "threshold=0.05", "seed=0")
    strange, usual = ([int(row["outlier"]) for row in table(made / name)] for name in ("scores.csv", "against.csv"))
    assert sum(usual) == 8 and "outliers   digits: 8 of 180 (4.44 %)" in out
    assert sum(strange) > 10 and "at most 5 % of 180 validation examples score above it" in out
    limit = json.loads((made / "detection.json").read_text())["protocol"]["threshold"]
    assert limit["share_of_validation_data"] == 0.05
    assert [int(float(row["score"]) > limit["score"]) for row in table(made / "against.csv")] == usual
    with Image.open(made / "error_maps.png") as image:
        assert np.asarray(image.convert("L")).std() > 0


def test_classes_that_were_left_out_are_outliers(short, trained, done, refuses):
    run = short("vae", "dataset.without=[4,9]")
    out, made = done("score", run, "against=left-out")
    assert {row["class"] for row in table(made / "against.csv")} == {"4", "9"}
    usual = table(made / "scores.csv")
    assert {row["class"] for row in usual} == set("01235678") and max(int(row["label"]) for row in usual) == 7
    assert len(usual) + len(table(made / "against.csv")) == 180 and "AUROC" in out
    assert "was trained on all classes" in refuses("score", trained[1], "against=left-out")


def test_a_dataset_against_itself_cannot_be_told(trained, done):
    _, made = done("score", trained[1], "against=digits", "num_images=30", "method=elbo")
    assert made.name.startswith("step_0000030-validation-elbo-against_digits-seed_0-")
    assert len(table(made / "scores.csv")) == 30
    assert json.loads((made / "detection.json").read_text())["auroc"] == pytest.approx(0.5)


def test_scores_that_are_not_finite_keep_the_scores_and_leave_out_what_compares_them(trained, done, noise, monkeypatch):
    method = METHODS["reconstruction"]
    monkeypatch.setitem(METHODS, "reconstruction", replace(method, score=lambda *given: method.score(*given) / 0.0))
    out, made = done("score", trained[1], f"against={noise}", "method=reconstruction")
    assert "detection  left out: " in out and "not finite" in out
    report = json.loads((made / "detection.json").read_text())
    assert report["auroc"] is None and "not finite" in report["note"]
    assert len(table(made / "against.csv")) == 20


MISTAKES = {
    "method=discriminator": ["model vae cannot score examples by a discriminator", "path, reconstruction, "],
    "method=luck": ["method=luck", "reconstruction"],
    "against=npz": ["against=npz", "a dataset of your own files"],
}


@pytest.mark.parametrize("setting", MISTAKES)
def test_mistakes_are_refused_before_a_folder_is_made(setting, trained, refuses):
    text = refuses("score", trained[1], setting)
    assert all(part in text for part in MISTAKES[setting]), text


def test_a_folder_of_damaged_images_alone_is_named(trained, refuses, noise):
    for file in noise.iterdir():
        file.write_bytes(b"not an image")
    line = refuses("score", trained[1], f"against={noise}", "skip_damaged=true", problems=None)
    assert f"against={noise}: none of its 20 files" in line and "input=" not in line


def test_labels_of_an_npz_file_that_do_not_fit_name_nothing(trained, done, tmp_path):
    np.savez(tmp_path / "named.npz", images=np.full((6, 16, 16), 99, np.uint8), labels=np.arange(5))
    _, made = done("score", trained[1], "input=named.npz")
    assert "label" not in table(made / "scores.csv")[0]


def test_exported_functions_run_without_genlab(trained, done):
    out, made = done("export", trained[1])
    assert made == trained[1] / "exports/step_0000030"
    assert {path.name for path in made.iterdir()} == {"decode.pt2", "encode.pt2", "export.json"}
    report = json.loads((made / "export.json").read_text())
    assert report["functions"]["decode"]["inputs"]["z"]["shape"] == ["batch", 3]
    assert report["functions"]["encode"]["inputs"]["x"]["range"] == [0, 1]
    assert max(part["largest_difference"] for part in report["functions"].values()) <= report["tolerance"] == 1e-4
    assert report["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    _, example = out.split("use        ")
    lines = [line.strip() for line in example.strip().splitlines()]
    check = (
        "import sys; assert x.shape == (5, 1, 16, 16) and 0 <= x.min() < x.max() <= 1 and 'genlab' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([*lines, check])], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_onnx_files_and_a_tolerance_that_they_miss(trained, genlab, done):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    _, folder = trained
    request = ("weights=raw", "onnx=true")
    _, made = done("export", folder, *request)
    assert made.name.startswith("step_0000030-raw-")
    report = json.loads((made / "export.json").read_text())
    assert all(0 <= part["onnx"]["largest_difference"] <= 1e-4 for part in report["functions"].values())
    assert {"decode.onnx", "encode.onnx"} <= {path.name for path in made.iterdir()}
    outcome = genlab("export", f"run={folder}", "device=cpu", "device.threads=1", *request, "tolerance=1e-12")
    assert outcome.code == 1 and "decode.onnx: differs by" in outcome.err and "Traceback" not in outcome.err
    assert list((folder / "exports").glob("*raw*")) == [made], "what failed leaves nothing, and takes nothing away"
    assert not list((folder / "exports").glob(".*"))


def test_missing_packages_are_said_before_anything_is_written(trained, refuses, monkeypatch):
    monkeypatch.setattr("genlab.inspection.exporting.find_spec", lambda name: None)
    assert "pip install 'genlab[onnx]'" in refuses("export", trained[1], "onnx=true")
