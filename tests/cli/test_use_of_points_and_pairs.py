"""Commands that use runs of points, of conditions and of derived pairs: names, words and arrays fit the data."""

import numpy as np
import pytest
from PIL import Image
from written import arrays


@pytest.fixture(scope="module")
def cvae(short):
    """A short real run of points with labels."""
    few = ["dataset.num_train=64", "dataset.num_validation=32", "network.hidden=[8]"]
    return short("cvae", "dataset=ring", *few)


@pytest.fixture(scope="module")
def painter(short):
    """A short real run from the edges of small grey images to the images."""
    sizes = ["network.channels=4", "network.max_channels=4"]
    return short("translate-l1", "dataset=digits", "dataset.pair=edges", *sizes)


def test_labels_of_a_file_of_points_are_kept(cvae, done, tmp_path):
    np.savez(tmp_path / "own.npz", points=np.eye(4, 2, dtype=np.float32), labels=np.array([7, 2, 2, 5]))
    out, made = done("encode", cvae, f"input={tmp_path}/own.npz", "label=1")
    assert arrays(made / "latents.npz")["labels"].tolist() == [7, 2, 2, 5]
    assert "label_1" in made.name and "points" in out and "images" not in out


def test_the_condition_is_part_of_the_name(cvae, done):
    out, made = done("reconstruct", cvae, "label=3")
    assert "label_3" in made.name and "points     32 of" in out


def test_one_key_takes_one_value(cvae, refuses):
    for values in (["label=3", "condition.label=4"], ["condition.label=4", "condition.label=5"]):
        line = refuses("sample", cvae, *values)
        assert "condition.label" in line and all(value in line for value in values)


def test_a_is_derived_from_images_as_in_training(painter, done, photographs):
    folder, _ = photographs
    out, made = done("translate", painter, f"input={folder}")
    assert "dataset.pair=edges" in out and "derive=false" in out
    plain, kept = done("translate", painter, f"input={folder}", "derive=false")
    assert "dataset.pair" not in plain and made != kept

    assert "dataset.pair=edges" in done("translate", painter)[0]

    def first(path):
        with Image.open(path / "grid.png") as image:
            return np.asarray(image.convert("L"))[: image.height // 3]  # its row of a, with the row's name

    assert first(made).mean() > first(kept).mean(), "edges are dark on white"
