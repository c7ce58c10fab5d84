"""Commands that look through a trained run: what they write, and what they refuse with one line and no trace."""

import errno
import json
import os
import re

import numpy as np
import pytest
import torch
from PIL import Image
from written import arrays, images_of, table

import genlab as package
from genlab.config.build import build_source
from genlab.data.digits import Digits
from genlab.data.folders import ImageFolder
from genlab.inference.run import Run


def test_reconstruct_shows_validation_data_and_its_errors(runs, done):
    out, folder = done("reconstruct", runs.vae)
    found = arrays(folder / "reconstructions.npz")
    assert folder.name == "step_0000003-validation"
    assert {name: value.shape for name, value in found.items()} == {
        "images": (180, 16, 16, 1),
        "reconstructions": (180, 16, 16, 1),
        "errors": (180,),
    }
    x = images_of(found["images"])
    y = package.load(runs.vae).reconstruct(x)
    assert (np.abs(found["reconstructions"] / 255 - y.permute(0, 2, 3, 1).numpy()) < 0.501 / 255).all()
    np.testing.assert_allclose(found["errors"], (x - y).square().mean((1, 2, 3)), rtol=1e-5)
    rows = table(folder / "errors.csv")
    assert [row["name"] for row in rows] == [str(number) for number in range(180)]
    np.testing.assert_allclose([float(row["mse"]) for row in rows], found["errors"], rtol=1e-6)
    assert f"mean {found['errors'].mean():.5f}" in out
    with Image.open(folder / "grid.png") as image:
        width, height = image.size
    cell = (height - 2) // 8
    assert 0 < width - (8 * cell + 2) < 2 * cell, "4 blocks of 2 rows of 8 images, with the names of rows"


def test_reconstruct_takes_a_folder_and_leaves_damaged_images_out_when_asked(
    runs, done, refuses, photographs, monkeypatch
):
    monkeypatch.setattr(Digits, "open", lambda *_: pytest.fail("the data is not needed"))
    # so that the damaged one comes when others are done
    monkeypatch.setattr("genlab.inspection.images.rows_at_once", lambda shape: 2)
    folder, names = photographs
    _, made = done("reconstruct", runs.vae, f"input={folder}")
    assert [row["name"] for row in table(made / "errors.csv")] == names
    (folder / "more/b.png").write_bytes(b"not an image")
    before = (made / "errors.csv").read_text()
    line = refuses("reconstruct", runs.vae, f"input={folder}")
    assert "more/b.png cannot be read as an image" in line and "skip_damaged=true" in line
    assert (made / "errors.csv").read_text() == before
    out, made = done("reconstruct", runs.vae, f"input={folder}", "skip_damaged=true")
    assert "5 of photographs, 1 damaged ones left out" in out
    assert len(arrays(made / "reconstructions.npz")["images"]) == 5


def test_encode_writes_codes_names_and_labels_and_plots_them(runs, done):
    out, folder = done("encode", runs.vae)
    found = arrays(folder / "latents.npz")
    assert found["latents"].shape == (180, 4) and found["names"][7] == "7"
    assert set(found["labels"]) == set(range(10))
    with Image.open(folder / "plot.png") as image:
        assert np.ptp(np.asarray(image.convert("RGB")).astype(int), axis=2).max() > 100, "in the colours of labels"
    assert "of the variance" in out
    reconstruction = arrays(done("reconstruct", runs.vae)[1] / "reconstructions.npz")["images"]
    codes = package.load(runs.vae).encode(images_of(reconstruction))
    np.testing.assert_allclose(found["latents"], codes, atol=1e-5)


def test_encode_takes_images_without_labels_and_need_not_plot(runs, done, photographs):
    folder, names = photographs
    _, made = done("encode", runs.ae, f"input={folder}", "plot=none")
    found = arrays(made / "latents.npz")
    assert found["names"].tolist() == names and "labels" not in found and not (made / "plot.png").exists()
    out, made = done("encode", runs.ae, f"input={folder}", "plot=tsne")
    assert "perplexity" in out and (made / "plot.png").exists()


def test_translate_keeps_names_and_comes_back(runs, done, photographs, monkeypatch):
    monkeypatch.setattr("genlab.inspection.images.rows_at_once", lambda shape: 2)
    folder, _ = photographs
    out, made = done("translate", runs.cyclegan, f"input={folder}", "to=b")
    targets = ["a.png", "b.png", "more/a.png", "more/twin.jpg.png", "more/twin.png.png"]
    images = made / "images"
    assert made.name.startswith("step_0000003-photographs-to_b")
    assert sorted(str(path.relative_to(images)) for path in images.rglob("*.png")) == targets
    found, run = arrays(made / "translations.npz"), package.load(runs.cyclegan)
    assert found["images"].shape == found["cycles"].shape == (5, 16, 16, 3)
    for target, pixels in zip(targets, found["images"], strict=True):
        with Image.open(images / target) as image:
            assert (np.asarray(image) == pixels).all()
    cycles = run.translate(images_of(found["images"]), "a")
    torch.testing.assert_close(images_of(found["cycles"]), cycles, rtol=0, atol=0.05)
    with Image.open(made / "grid.png") as image:
        width, height = image.size
    cell = (height - 2) // 3
    assert 0 < width - (5 * cell + 2) < cell, "one block: 3 rows of 5 images, with the names of rows"
    assert "cycle      mean absolute error" in out and "to=a" in out


MISTAKES = {
    # what the model cannot do, and which can
    "reconstruct cgan": ["model cgan cannot reconstruct", "vae"],
    "interpolate cyclegan": ["model cyclegan cannot decode"],
    "interpolate cgan images=[a.png,b.png]": ["model cgan cannot encode"],
    "interpolate ae seeds=[3,8]": ["model ae cannot draw latents from a prior"],
    "translate vae input=a.png": ["model vae cannot translate", "cyclegan"],
    "sample vae label=3": ["condition.label=3", "vae is conditioned on nothing"],
    "sample vae sampling.truncated=1": ["sampling.truncated=1", "truncation"],
    "sample vae sampling.truncation=many": ["sampling.truncation='many'", "a number"],
    "traverse cgan label=10": ["condition.label=10", "0, 1, 2, 3"],
    "sample cgan condition.colour=red": ["condition.colour=red", "cgan is conditioned on label"],
    # what the run does not take
    "reconstruct vae dataset=stripes": ["dataset=stripes", "holds no x", "a, b"],
    "encode vae dataset=digits dataset.size=8": ["dataset=digits", "image of 1x8x8", "takes image of 1x16x16"],
    "traverse vae latents=[0,99]": ["latents=[0,99]", "0 to 3"],
    "traverse vae latents=[3,3]": ["latents=[3,3]", "none twice"],
    "traverse vae plane=[2,2]": ["plane=[2,2]", "two different"],
    "interpolate ae rows=91": ["rows=91", "180 images"],
    # ends of a path
    "interpolate vae seeds=[3]": ["seeds=[3,8]"],
    "interpolate vae images=[a.png]": ["images=[a.png,b.png]"],
    "interpolate vae images=[a.png,b.png] seeds=[3,8]": ["seeds and images"],
    "interpolate vae dataset=digits": ["dataset=digits", "prior"],
    "traverse vae dataset=digits": ["dataset=digits", "prior"],
    # files that are not there
    "reconstruct vae input=nowhere": ["input=nowhere"],
    "interpolate vae images=[nowhere.png,b.png]": ["images=nowhere.png", "no such file"],
    "traverse vae input=nowhere.png": ["input=nowhere.png", "no such file"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_costs_one_line(line, runs, refuses):
    command, model, *arguments = line.split()
    text = refuses(command, getattr(runs, model), *arguments)
    assert all(part in text for part in MISTAKES[line]), text


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "I;16"])
def test_images_of_any_mode_are_converted_as_in_training(mode, runs, done, tmp_path):
    """The run of grey digits takes what `dataset.channels=1` takes, from a file, a folder and a dataset."""
    name = "x.tif" if mode == "CMYK" else "x.png"
    for number in range(3):
        image = Image.linear_gradient("L").resize((20, 20)).rotate(90 * number)
        image.convert(mode).save(tmp_path / name.replace("x", str(number)))
    expected = ImageFolder(path=str(tmp_path), size=16, channels=1).open("train")[0].load()["x"][:, 0]
    _, made = done("reconstruct", runs.vae, f"input={tmp_path}")
    found = arrays(made / "reconstructions.npz")["images"].squeeze()
    assert all(any(np.array_equal(image, other) for other in found) for image in expected.numpy())
    if mode == "RGB":
        place = tmp_path / name.replace("x", "0")
        done("interpolate", runs.vae, f"images=[{place},{place}]")
        done("score", runs.vae, f"against={tmp_path}")
        done("reconstruct", runs.vae, "dataset=image-folder", f"dataset.path={tmp_path}")


def test_images_that_do_not_fit_the_run_are_refused(runs, refuses, photographs, tmp_path):
    folder, _ = photographs
    (tmp_path / "empty").mkdir()
    assert f"input: no images in {tmp_path}/empty" in refuses("encode", runs.vae, f"input={tmp_path}/empty")
    assert f"input={folder}: holds 5 images" in refuses("traverse", runs.vae, f"input={folder}")
    assert "to=c: this run translates to a and b" in refuses("translate", runs.cyclegan, f"input={folder}", "to=c")
    np.savez(tmp_path / "wrong.npz", images=np.zeros((20, 8, 8), np.uint8))
    assert "holds image of 1x8x8" in refuses("reconstruct", runs.vae, "input=wrong.npz")
    np.savez(tmp_path / "wrong.npz", x=np.zeros((9, 16, 16), np.uint8))
    line = refuses("reconstruct", runs.vae, "input=wrong.npz")
    assert line.startswith("genlab: input=wrong.npz: images") and "dataset." not in line


def test_a_grid_shows_the_first_256_samples(runs, done):
    out, made = done("sample", runs.vae, "num_samples=300")
    assert "grid.png (the first 256 of 300)" in out and len(arrays(made / "samples.npz")["images"]) == 300


def test_labels_of_an_npz_file_go_with_its_images(runs, done, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16), np.uint8)
    np.savez(tmp_path / "named.npz", images=images, labels=np.array([7, 7, 3, 7, 3, 3]))
    _, made = done("encode", runs.vae, "input=named.npz")
    assert arrays(made / "latents.npz")["labels"].tolist() == [7, 7, 3, 7, 3, 3]
    with Image.open(made / "plot.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    orange = np.array([255, 127, 14])  # the second colour of matplotlib's tab10
    assert (np.abs(pixels - orange).max(2) < 60).any(), "two labels, two colours"


@pytest.mark.parametrize("to, domain", [("b", 0), ("a", 1)])
def test_translate_takes_validation_images_of_the_other_domain(to, domain, runs, done):
    out, made = done("translate", runs.cyclegan, f"to={to}")
    found, run = images_of(arrays(made / "translations.npz")["images"]), package.load(runs.cyclegan)
    assert "(8 of validation)" in out and made.name.startswith("step_0000003-validation")
    table = build_source(run.config.dataset).open("validation")[domain]
    expected = run.translate(table.rows(torch.arange(8))["ab"[domain]].float() / 255, to)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_translate_gives_every_image_a_file_of_its_own(runs, done, tmp_path):
    for name in ("x.jpg", "x.jpg.png", "x.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    out, made = done("translate", runs.cyclegan, f"input={tmp_path}")
    assert "(3 of " in out and len(list((made / "images").iterdir())) == 3
    _, again = done("translate", runs.cyclegan, f"input={made}/translations.npz", "to=a")
    assert [path.name for path in sorted((again / "images").iterdir())] == ["0.png", "1.png", "2.png"]


def test_a_run_that_cannot_be_written_is_refused_before_the_computing(runs, refuses, monkeypatch):
    def read_only(dir):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("genlab.commands.results.TemporaryFile", read_only)
    monkeypatch.setattr(Run, "reconstruct", lambda *_: pytest.fail("too early"))
    line = refuses("reconstruct", runs.vae)
    assert "cannot be written (Read-only file system); copy the run where you may write" in line


@pytest.mark.parametrize("every, moment", [(500, "step 500 (trainer.checkpoint_every)"), (None, "its last step")])
def test_a_run_without_a_checkpoint_yet_is_waited_for(every, moment, refused, tmp_path, monkeypatch):
    monkeypatch.setattr("genlab.checkpoints.status.is_locked", lambda folder: True)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"status": "running", "process": os.getpid()}))
    (folder / "config.yaml").write_text(json.dumps({"trainer": {"checkpoint_every": every}}))
    line = refused("sample", f"run={folder}")
    assert f"run={folder}: is still training and has saved no checkpoint yet; wait for {moment}" in line


def test_evaluate_shows_what_the_figures_are_measured_by(trained, genlab):
    """And a figure that too few images cannot give costs a line, not the others."""
    _, folder = trained
    asked = ["device=cpu", "device.threads=1", "extractor=random-conv", "importance_samples=1", "num_samples=60"]
    outcome = genlab("evaluate", f"run={folder}", *asked)
    assert outcome.code == 0, outcome.err
    shown = {line[:10].strip(): line[11:] for line in outcome.out.splitlines()}
    assert shown["extractor"] == "random-conv"
    assert re.fullmatch("Frechet distance .* real, .* blurred, .* noise; kernel .*; coverage .*", shown["controls"])
    assert "frechet: left out: needs num_samples=65" in outcome.err
    assert "data       180 validation examples of digits" in outcome.err
    assert re.search(r"^1/\d        ELBO", outcome.err, re.MULTILINE)
    assert re.search(r"^  elbo +-\d[\d.]* +nats +higher +[\d.]+ over images$", outcome.out, re.MULTILINE)
    assert re.search(r"^sample quality, by random-conv$\n  kernel_distance .* lower", outcome.out, re.MULTILINE)
    assert max(map(len, outcome.out.split("extractor")[0].splitlines())) <= 80
    text = (folder / "evaluation.json").read_text()
    metrics = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["metrics"]
    assert metrics["kernel_distance"]["protocol"]["extractor_controls"]["images"] == 180 and "elbo" in metrics
