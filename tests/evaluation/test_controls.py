"""Extractors are checked before they judge: what passes, what auto chooses, what is said; the controls on real data."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.contract.data import DataSpec, Field, image_spec
from genlab.data.arrays import Npz
from genlab.data.digits import Digits
from genlab.data.folders import ImageFolder
from genlab.data.source import ArrayExamples, Source
from genlab.data.torchvision_sets import FashionMnist, Mnist
from genlab.evaluation import classifier, controls
from genlab.evaluation.controls import check, choose_extractor
from genlab.evaluation.features import ClassifierFeatures, make_extractor


class Changed(Source):
    """Digits, changed by a function of images and labels; the first `most` of each split."""

    def __init__(self, change=lambda x, label: (x, label), most=10_000, spec=None):
        self.change, self.most, self.digits = change, most, Digits(size=16)
        self.spec = spec or self.digits.spec
        self.sizes = {split: min(size, most) for split, size in self.digits.sizes.items()}

    def open(self, split):
        fields = self.digits.open(split)[0].load()
        x, label = self.change(fields["x"][: self.most], fields["label"][: self.most])
        return [ArrayExamples(x=x, label=label) if "label" in self.spec else ArrayExamples(x=x)]


def shuffled(x, label):
    """Labels that say nothing."""
    return x, label[torch.randperm(len(label), generator=torch.Generator().manual_seed(0))]


def noise(x, label):
    return torch.randint(0, 256, x.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(len(x))), label


def one_class(x, label):
    return x, torch.zeros_like(label)


UNLABELLED = image_spec((1, 16, 16))


@pytest.mark.parametrize(
    "source, chosen, said",
    [
        (Changed(shuffled), "random-conv", "not classifier: its accuracy on held-out images is 0."),
        (Changed(one_class), "random-conv", "not classifier: its accuracy on held-out images is 1.000"),
        (Changed(spec=UNLABELLED), "random-conv", "not classifier: its classifier learns from labels"),
        (Changed(noise), "pixels", "not random-conv: the controls are out of order: "),
        (Changed(most=49), "pixels", "49 training and 49 held-out images are too few to check it; 50 of each would do"),
    ],
)
def test_auto_falls_back_and_says_so(source, chosen, said, caplog):
    caplog.set_level(logging.INFO, "genlab")
    found = choose_extractor("auto", source, "cpu")
    assert found.extractor.name == chosen and said in caplog.text
    assert (found.objection is None) == (chosen == "random-conv")
    assert ("do not rely on its figures" in caplog.text) == (chosen == "pixels")


def test_auto_takes_a_classifier_that_passes(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "genlab")
    monkeypatch.setitem(classifier.RECIPE, "steps", 200)
    found = choose_extractor("auto", Changed(), "cpu")
    assert found.extractor.name == "classifier" and found.objection is None, caplog.text
    told = found.protocol()
    assert told["extractor_accuracy"] > 0.9 and told["extractor_controls"]["images"] == 180
    json.dumps(told, allow_nan=False)


def test_an_extractor_that_was_asked_for_is_used_but_not_without_a_warning(caplog):
    found = choose_extractor("classifier", Changed(shuffled), "cpu")
    assert found.extractor.name == "classifier" and "accuracy" in found.protocol()["extractor_objection"]
    assert "extractor=classifier: do not rely on its figures: its accuracy" in caplog.text


@pytest.mark.parametrize("domains", [(1, 1), (1, 3)])
def test_images_of_two_domains_are_read_as_one_set(domains):
    class Two(Changed):
        def open(self, split):
            x = super().open(split)[0].load()["x"]
            first, second = (part.repeat(1, many, 1, 1) for part, many in zip(x.chunk(2), domains, strict=True))
            return [ArrayExamples(a=first), ArrayExamples(b=second)]

    spec = DataSpec({name: Field("image", (many, 16, 16)) for name, many in zip("ab", domains, strict=True)})
    assert choose_extractor("auto", Two(spec=spec), "cpu").extractor.name == "random-conv"


def test_controls_are_measured_once(monkeypatch):
    source = Changed(spec=UNLABELLED)
    first = check(make_extractor("random-conv", source), source)
    monkeypatch.setattr(controls, "_measured", lambda *_: pytest.fail("measured again"))
    again = check(make_extractor("random-conv", source), source)
    assert again.controls == first.controls and again.extractor.identity == first.extractor.identity


@pytest.mark.parametrize(
    "accuracy, chance, trusted",
    [(0.575, 0.5, False), (0.75, 0.5, True), (0.54, 0.1, False), (0.73, 0.1, True), (0.98, 0.98, False), (1, 1, False)],
)
def test_an_accuracy_is_seen_relative_to_chance(accuracy, chance, trusted):
    features = ClassifierFeatures.__new__(ClassifierFeatures)
    features.accuracy, features.chance = accuracy, chance
    assert (features.weaknesses() == []) == trusted


DATA = Path(os.environ.get("GENLAB_DATA", "."))


def cifar10(folder):
    """The pages of images that the tests' data hold, as one file."""

    def read(pattern):
        pages = [np.asarray(Image.open(page).convert("RGB")) for page in sorted((DATA / "cifar10").glob(pattern))]
        return np.concatenate([page.reshape(25, 32, 40, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3) for page in pages])

    labels, names = np.load(DATA / "cifar10/labels.npz", allow_pickle=True), ("train", "test_first1000")
    images, labels = np.concatenate([read("train_*"), read("test_*")]), np.concatenate([labels[name] for name in names])
    np.savez(folder / "cifar10.npz", images=images, labels=labels)
    return Npz(path=str(folder / "cifar10.npz"), labels_key="labels", validation_fraction=0.02)


REAL = {
    "MNIST": lambda folder: Mnist(data_dir=DATA),
    "FashionMNIST": lambda folder: FashionMnist(data_dir=DATA),
    "cifar10": cifar10,
    "lfw64": lambda folder: ImageFolder(path=str(DATA / "lfw64"), size=64),
    "lfw_smile64": lambda folder: ImageFolder(path=str(DATA / "lfw_smile64"), size=64),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_controls_are_in_order_on_real_data(name, tmp_path, monkeypatch, capsys):
    """Prints what each extractor says of them (`scripts/test -m slow tests/evaluation/test_controls.py`)."""
    if not (DATA / name).is_dir():
        pytest.skip(f"needs {name}")
    monkeypatch.undo()
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    source = REAL[name](tmp_path)
    choices = ("classifier", "random-conv") if source.spec.num_classes > 1 else ("random-conv",)
    for choice in choices:
        found = check(make_extractor(choice, source), source)
        with capsys.disabled():
            accuracy = "" if found.accuracy is None else f", accuracy {found.accuracy:.4f}"
            print(f"\n{name} {choice}{accuracy}, {found.controls.images} images: {found.controls}")
        assert found.objection is None
        assert found.controls.coverage.blurred > found.controls.coverage.noise
    assert choose_extractor("auto", source, "cpu").extractor.name == choices[0]
