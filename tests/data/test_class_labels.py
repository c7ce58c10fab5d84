"""Classes have names, in the order of people, wherever the data know them."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data.arrays import Npz
from genlab.data.digits import Digits
from genlab.data.folders import ImageFolder
from genlab.data.npy import Npy
from genlab.data.point_files import PointsFile
from genlab.data.torchvision_sets import Cifar10, Emnist, FashionMnist, Kmnist, Mnist, Svhn
from genlab.system.text import natural_order


@pytest.mark.parametrize(
    "ordered",
    [
        ["0", "1", "2", "10", "11"],
        ["-10", "-2", "0", "3"],
        ["0.25", "0.5", "1", "10"],
        ["class1", "class2", "class10"],
        ["1 cat", "2 dogs", "10 owls"],
        ["v1.9", "v1.10"],
        ["01", "1", "02", "2"],
        ["Apple", "banana", "banana 2"],
    ],
)
def test_names_are_in_natural_order(ordered):
    assert natural_order(set(ordered)) == ordered


def test_folders_with_numbers_are_their_labels(tmp_path):
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        for other in range(2):
            Image.new("L", (8, 8), 20 * number).save(tmp_path / str(number) / f"{other}.png")
    source = ImageFolder(path=str(tmp_path), size=8, channels=1)
    assert source.spec["label"].names == tuple(map(str, range(12)))
    for split in source.sizes:
        found = source.open(split)[0].load()
        assert torch.equal(found["x"][:, 0, 0, 0].long(), 20 * found["label"])


@pytest.mark.parametrize("made", [Mnist, FashionMnist, Kmnist, Emnist, Cifar10, Svhn])
def test_published_classes_have_names(made, tmp_path):
    names = made(data_dir=str(tmp_path)).spec["label"].names
    assert len(set(names)) == made(data_dir=str(tmp_path)).spec.num_classes


def test_names_of_letters_and_digits(tmp_path):
    letters = Emnist(data_dir=str(tmp_path), part="letters").spec["label"].names
    assert letters[0] == "a" and letters[25] == "z" and Digits().spec["label"].names[7] == "7"
    balanced = Emnist(data_dir=str(tmp_path)).spec["label"].names
    assert balanced[9] == "9" and balanced[10] == "A" and balanced[36:] == tuple("abdefghnqrt")


TEXTS = np.array(["owl", "cat 10", "cat 2", "owl"] * 5)
NAMES, LABELS = ("cat 2", "cat 10", "owl"), [2, 1, 0, 2] * 5


def read(source):
    """The names of the classes, and the labels by the first value of the examples, which is their row."""
    rows = {}
    for split in source.sizes:
        found = source.open(split)[0].load()
        rows |= dict(zip(found["x"].flatten(1)[:, 0].tolist(), found["label"].tolist(), strict=True))
    return source.spec["label"].names, [rows[row] for row in sorted(rows)]


@pytest.mark.parametrize("texts", [TEXTS, TEXTS.astype("S")])
def test_labels_may_be_texts(texts, tmp_path):
    images = np.full((20, 8, 8), np.arange(20)[:, None, None], np.uint8)
    np.savez(tmp_path / "x.npz", images=images, points=np.arange(40.0).reshape(20, 2), kinds=texts)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "labels.npy", texts)
    for source in (
        Npz(path=str(tmp_path / "x.npz"), labels_key="kinds"),
        Npy(path=str(tmp_path / "x.npy"), labels_path=str(tmp_path / "labels.npy")),
        PointsFile(path=str(tmp_path / "x.npz"), labels_key="kinds"),
    ):
        assert read(source) == (NAMES, LABELS)


@pytest.mark.parametrize(
    "stored, names",
    [
        ([26, 1, 2, 26], ("1", "2", "26")),
        ([1, -1, -1, 1], ("-1", "1")),
        ([2.0, 1.0, 2.0, 3.0], ("1", "2", "3")),
        ([2**40, 7, 7, 2**40], ("7", str(2**40))),
        (np.array([2**63 + 5, 3, 3, 3], np.uint64), ("3", str(2**63 + 5))),
        ([2, 0, 1, 2], ()),
        ([2.0, 0.0, 1.0, 2.0], ()),
    ],
)
def test_labels_may_be_any_whole_numbers_which_become_names(stored, names, tmp_path):
    stored = np.tile(stored, 5)
    images = np.full((20, 8, 8), np.arange(20)[:, None, None], np.uint8)
    np.savez(tmp_path / "x.npz", images=images, points=np.arange(40.0).reshape(20, 2), y=stored)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", stored)
    (tmp_path / "x.csv").write_text("".join(f"{row},{row},{text}\n" for row, text in enumerate(stored)))
    places = [str(int(number)) for number in stored]
    known = list(names or ("0", "1", "2"))
    for source in (
        Npz(path=str(tmp_path / "x.npz"), labels_key="y"),
        Npy(path=str(tmp_path / "x.npy"), labels_path=str(tmp_path / "y.npy")),
        PointsFile(path=str(tmp_path / "x.npz"), labels_key="y"),
        PointsFile(path=str(tmp_path / "x.csv"), labels_column=3),
    ):
        assert read(source) == (names, [known.index(text) for text in places])
        assert source.spec["label"].size == len(known)


def test_held_out_labels_are_of_the_same_classes(tmp_path):
    images, path = np.full((6, 8, 8), 7, np.uint8), str(tmp_path / "x.npz")
    np.savez(path, images=images, y=[1, 2, 3] * 2, test=images[:2], some=[3, 3], other=[3, 4])
    keys = {"path": path, "labels_key": "y", "validation_images_key": "test"}
    source = Npz(**keys, validation_labels_key="some")
    assert source.open("validation")[0].load()["label"].tolist() == [2, 2]
    with pytest.raises(ValueError, match=r"validation_labels_key=other.*'4'.*1, 2, 3"):
        Npz(**keys, validation_labels_key="other")


def test_labels_that_are_not_used_are_named(tmp_path):
    images, path = np.full((6, 8, 8), 7, np.uint8), str(tmp_path / "x.npz")
    np.savez(path, images=images, points=np.ones((6, 2)), weights=np.ones(6), y=[1.0, 2, 3] * 2)
    (tmp_path / "x.csv").write_text("x,Label\n1,0\n2,1\n")
    for source, hint in (
        (Npz(path=path), "dataset.labels_key=y"),
        (PointsFile(path=path), "dataset.labels_key=y"),
        (PointsFile(path=str(tmp_path / "x.csv")), "dataset.labels_column=2"),
    ):
        assert hint in source.labels_hint and hint in source.notes[0]
    assert not Npz(path=path, labels_key="y").notes and not PointsFile(path=path, labels_key="y").notes


def test_an_array_names_the_classes(tmp_path):
    arrays = {"images": np.full((20, 8, 8), 7, np.uint8), "label": np.arange(20) % 2}
    np.savez(tmp_path / "x.npz", names=np.array(["cats", "dogs"]), few=np.array(["cats"]), **arrays)
    path = str(tmp_path / "x.npz")
    assert Npz(path=path, labels_key="label", names_key="names").spec["label"].names == ("cats", "dogs")
    arrays["label"] = np.arange(20) % 2 + 1
    np.savez(path, names=np.array(["cats", "dogs"]), few=np.array(["cats"]), **arrays)
    numbered = Npz(path=path, labels_key="label", names_key="names")
    assert numbered.spec["label"].names == ("cats", "dogs")
    assert set(numbered.open("train")[0].load()["label"].tolist()) == {0, 1}
    for options, problem in (
        ({"names_key": "names"}, "labels_key"),
        ({"names_key": "few", "labels_key": "label"}, "1 to 2.* and there are 1 names"),
        ({"names_key": "label", "labels_key": "label"}, "cannot be names"),
    ):
        with pytest.raises(ValueError, match=problem):
            Npz(path=path, **options)


def test_classes_of_a_csv_file_are_in_natural_order(tmp_path):
    (tmp_path / "x.csv").write_text("".join(f"{row},{row},{text}\n" for row, text in enumerate(TEXTS)))
    assert read(PointsFile(path=str(tmp_path / "x.csv"), labels_column=3)) == (NAMES, LABELS)
