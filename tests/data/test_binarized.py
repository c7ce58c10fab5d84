"""Binary images of any dataset, and binarized MNIST as published."""

import lab
import numpy as np
import pytest
import torch

from genlab.config.build import build_source
from genlab.config.options import dataset_defaults
from genlab.data.binarized import Binarized
from genlab.data.binarized_mnist import BinarizedMnist
from genlab.data.loading import Loader
from genlab.data.source import ArrayExamples, Source

DIGITS = dataset_defaults("digits")


def digits(how, split="train", **settings):
    return build_source({**DIGITS, "binarize": how, **settings}).open(split)[0]


def loader(how, split="train"):
    source = build_source({**DIGITS, "binarize": how})
    return Loader(source, split, lab.compose("ae").loader, seed=0, device=torch.device("cpu"))


class Greys(Source):
    """A hundred copies of a ramp of all grey values."""

    sizes = {"train": 2000, "validation": 1}

    def __init__(self):
        self.spec = build_source(DIGITS).spec

    def open(self, split):
        return [ArrayExamples(x=torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2000, 1, 1, 1))]


def test_a_pixel_is_one_with_its_grey_value_as_probability():
    images = Binarized(Greys(), "static").open("train")[0].load()["x"]
    assert set(images.unique().tolist()) == {0, 255}
    shares = (images > 0).double().mean(0).flatten()
    torch.testing.assert_close(shares, torch.arange(256).double() / 255, atol=0.06, rtol=0)
    assert shares[0] == 0 and shares[255] == 1
    assert abs(torch.corrcoef((images[:, 0, 7] > 0).double().T) - torch.eye(16)).max() < 0.1  # pixels are independent


def test_static_images_are_drawn_once_by_the_seed():
    table = digits("static")
    whole, rows = table.load()["x"], torch.tensor([7, 3, 500])
    assert torch.equal(table.rows(rows)["x"], whole[rows])
    assert torch.equal(whole, digits("static").load()["x"])
    assert not torch.equal(whole, digits("static", seed=1).load()["x"])


def test_dynamic_images_are_drawn_anew_for_training_alone():
    training, validation = loader("dynamic"), loader("dynamic", "validation")
    size = training.size
    first, second = (next(training.batches(size, step)) for step in (0, 1))
    assert set(first["x"].unique().tolist()) == {0.0, 1.0}
    order = [batch["x"].flatten(1).sum(1).sort().values for batch in (first, second)]
    assert not torch.equal(*order)  # of all examples, in whatever order
    assert torch.equal(next(training.batches(size, 1))["x"], second["x"])
    again = loader("dynamic", "validation")
    pairs = zip(validation.in_order(), again.in_order(), strict=True)
    assert all(torch.equal(one["x"], other["x"]) for one, other in pairs)
    static = digits("static", "validation").load()["x"]
    assert torch.equal(next(validation.in_order())["x"][:5], static[:5].float() / 255)


def test_threshold_compares_with_half_the_range():
    grey = build_source(DIGITS).open("train")[0].load()["x"]
    assert torch.equal(digits("threshold").load()["x"], (grey > 127).byte() * 255)


def test_refusals():
    with pytest.raises(ValueError, match=r"dataset\.binarize=static: .*points.*leave"):
        build_source({**dataset_defaults("ring"), "binarize": "static"})


def test_binarized_mnist_is_read_as_published(tmp_path, monkeypatch):
    monkeypatch.setattr("genlab.data.binarized_mnist._COUNTS", {"train": 5, "valid": 3, "test": 2})
    folder = tmp_path / "binarized_mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {part: rng.integers(0, 2, (count, 784), dtype=np.uint8)
              for part, count in {"train": 5, "valid": 3, "test": 2}.items()}  # fmt: skip
    source = BinarizedMnist(data_dir=str(tmp_path), held_out="test")
    with pytest.raises(ValueError, match=r"data_dir=.*binarized_mnist_train\.amat.*http"):
        source.open("train")
    for part, rows in arrays.items():
        np.savetxt(folder / f"binarized_mnist_{part}.amat", rows, fmt="%d")
    texts = [source.open(split)[0].load()["x"] for split in ("train", "validation")]
    np.savez(folder / "binarized_mnist.npz", **arrays)
    both = [source.open(split)[0].load()["x"] for split in ("train", "validation")]
    for text, archive, part in zip(texts, both, ("train", "test"), strict=True):
        assert torch.equal(text, archive) and text.flatten(1).numpy().tolist() == (arrays[part] * 255).tolist()
    np.savez(folder / "binarized_mnist.npz", **{**arrays, "train": arrays["train"] * 2})
    with pytest.raises(ValueError, match=r"binarized_mnist\.npz: train .*take it from"):
        source.open("train")
