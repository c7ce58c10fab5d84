"""Classes by name, from folders to the log, the checkpoint, samples and their captions."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from written import arrays, table

import genlab as package
from genlab.commands.requests import compose_request
from genlab.commands.results import results
from genlab.media.plots import Projection, save_scatter
from genlab.system.text import natural_order

NAMES = ("red panda", "T-shirt", "猫")
CLASSES = {("0", "T-shirt"), ("1", "red panda"), ("2", "猫")}


@pytest.fixture(scope="module")
def named(short, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    for shade, name in enumerate(NAMES):
        (folder / name).mkdir()
        for number in range(8):
            Image.new("L", (16, 16), 80 * shade + number).save(folder / name / f"{number}.png")
    data = ["dataset=image-folder", f"dataset.path={folder}", "dataset.size=16", "dataset.channels=1"]
    model = ["network.channels=4", "network.dense=[8]", "model.latent_dim=3"]
    return short("cgan", *model, *data, "trainer.preview_every=3")


def test_the_log_and_the_checkpoint_name_the_classes(named, genlab):
    line = "label: 3 classes: 0=T-shirt, 1=red panda, 2=猫"
    assert line in (named / "train.log").read_text()
    assert package.load(named).data["label"].names == ("T-shirt", "red panda", "猫")
    assert line.replace(" 3 classes:", "") in genlab("info", f"run={named}").out


def test_samples_are_asked_for_and_captioned_by_name(named, done, refuses):
    _, made = done("sample", named, "label='red panda'", "num_samples=2")
    found = arrays(made / "samples.npz")
    assert found["labels"].tolist() == [1, 1] and found["classes"].tolist() == ["red panda"] * 2
    with (
        Image.open(made / "grid.png") as image,
        Image.open(next((named / "previews").glob("*-samples.png"))) as preview,
    ):
        assert image.height - image.width // 2 > 16 and preview.convert("L").getextrema()[1] > 200
    assert "0=T-shirt, 1=red panda, 2=猫; did you mean 'red panda'?" in refuses("sample", named, "label=redpanda")


def test_single_images_say_their_class(named, genlab):
    out = genlab("sample", f"run={named}", "num_samples=3", "format=png", "device=cpu").out
    folder = Path(re.search(r"^images +(.*) \(3\)$", out, re.MULTILINE)[1])
    names = [f"000000{n}-label_{n}-{text}.png" for n, text in enumerate(("T_shirt", "red_panda", "猫"))]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_a_result_of_a_class_with_a_slash_is_one_folder(tmp_path):
    config = compose_request("sample", ["label=T-shirt/top"])
    run = SimpleNamespace(folder=tmp_path, step=3, precision="fp32")
    with results(run, "samples", config, label="T-shirt/top") as (_, path):
        assert path.parent == tmp_path / "samples" and "label_T-shirt_top" in path.name
    assert path.is_dir()


def test_a_class_that_is_called_otherwise_is_not_taken_for_the_old_one(named, done, refuses, monkeypatch):
    honest = natural_order
    monkeypatch.setattr("genlab.data.folders.natural_order", lambda names: honest(names)[::-1])
    line = refuses("score", named)
    assert "T-shirt, red panda, 猫 then, 猫, red panda, T-shirt now" in line and "dataset=NAME" in line


def test_tables_and_plots_name_the_classes(named, done):
    _, made = done("score", named)
    rows = table(made / "scores.csv")
    assert rows and all((row["label"], row["class"]) in CLASSES for row in rows)


def test_the_plot_of_latents_has_names_in_its_legend(tmp_path, monkeypatch, recwarn):
    drawn = []
    honest = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (drawn.append(figure), honest(figure, path)))
    points = Projection(np.zeros((3, 2)), np.arange(3), ("1", "2"))
    save_scatter(points, torch.tensor([0, 1, 1]), "title", tmp_path / "x.png", ["_$x_", "猫$^"])
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == ["0 _$x_", "1 猫$^"]
    assert not recwarn.list


@pytest.fixture(scope="module")
def numbered(short, tmp_path_factory):
    """A run on labels 1, 2 and 26, and its file."""
    file = tmp_path_factory.mktemp("numbers") / "letters.npz"
    images = np.repeat(np.arange(24, dtype=np.uint8) * 10, 64).reshape(24, 8, 8)
    np.savez(file, images=images, y=np.tile([26.0, 1, 2], 8))
    model = ["network.channels=4", "network.dense=[8]", "model.latent_dim=3"]
    return short("cgan", *model, "dataset=npz", f"dataset.path={file}", "dataset.labels_key=y"), file


def test_the_users_own_numbers_name_the_classes(numbered, genlab, done, refuses):
    run, file = numbered
    line = "0=1, 1=2, 2=26"
    assert f"label: 3 classes: {line}" in (run / "train.log").read_text()
    assert line in genlab("info", f"run={run}").out
    shown = genlab("data", "dataset=npz", f"dataset.path={file}", "dataset.labels_key=y").out
    assert f"classes    {line}" in shown and re.search(r"label +1: \d+, 2: \d+, 26: \d+", shown)
    for asked, classes in (("label=26", ["26"] * 3), ("label=1", ["1"] * 3), ("label=[26,1]", ["26", "1", "26"])):
        _, made = done("sample", run, asked, "num_samples=3")
        found = arrays(made / "samples.npz")
        assert found["classes"].tolist() == classes
        assert found["labels"].tolist() == [("1", "2", "26").index(name) for name in classes]
    with Image.open(made / "grid.png") as grid:
        assert (np.asarray(grid.convert("L"))[0] == 255).all(), "the two classes have their names above the columns"
    assert "label=0: this run knows the classes called 1, 2, 26" in refuses("sample", run, "label=0")
    assert "label=[1, 3]: 3: this run knows" in refuses("sample", run, "label=[1,3]")
    assert "give one value" in refuses("interpolate", run, "label=[1,2]")


def test_in_python_lists_and_arrays_hold_the_users_numbers(numbered):
    run = package.load(numbered[0])
    assert repr(run) == f"Run(cgan on npz, step 3, {numbered[0]})"
    same = [[1, 26], np.array([1, 26]), ["1", "26"], torch.tensor([0, 2])]
    samples = [run.sample(2, condition={"label": labels}) for labels in same]
    assert all(torch.equal(samples[0], other) for other in samples)
    assert torch.equal(run.sample(3, condition={"label": [1, 26]}), run.sample(3, condition={"label": [1, 26, 1]}))


def test_labels_that_a_model_needs_are_pointed_at(numbered, refused):
    line = refused("train", "model=cgan", "dataset=npz", f"dataset.path={numbered[1]}", "trainer.batch_size=8")
    assert "requires label" in line and "dataset.labels_key=y" in line


def test_classes_of_other_numbers_are_not_taken_for_the_old_ones(numbered, refuses):
    run, file = numbered
    saved = file.read_bytes()
    try:
        for labels, now in (([1, 2, 3], "1, 2, 3 now"), ([0, 1, 2], "0, 1, 2 now")):
            np.savez(file, images=np.zeros((24, 8, 8), np.uint8) + 9, y=np.tile(labels, 8))
            line = refuses("score", run)
            assert "1, 2, 26 then" in line and now in line
    finally:
        file.write_bytes(saved)
