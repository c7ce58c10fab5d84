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
