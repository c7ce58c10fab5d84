"""The classifier that samples are read by: it learns, repeats to the bit and is kept. The cache: `tests/data`."""

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch

from genlab.contract.data import image_spec
from genlab.data.fingerprint import data_fingerprint
from genlab.data.source import ArrayExamples, Source
from genlab.data.torchvision_sets import Mnist
from genlab.evaluation import classifier
from genlab.evaluation.classifier import load_classifier


class Stripes(Source):
    """Noisy images whose upper (0) or lower (1) half is bright."""

    def __init__(self, shape, train=96, validation=32, num_classes=2):
        self.spec, self.sizes = image_spec(shape, num_classes), {"train": train, "validation": validation}

    def open(self, split):
        generator = torch.Generator().manual_seed(len(split))
        images = torch.randint(0, 128, (self.sizes[split], *self.spec.shape), generator=generator)
        label = torch.randint(2, (len(images),), generator=generator)
        half = self.spec.shape[1] // 2
        images[label == 0, :, :half] += 127
        images[label == 1, :, half:] += 127
        return [ArrayExamples(x=images.byte(), label=label)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 9), (2, 50, 64)])
def test_it_learns_images_of_any_shape(shape):
    with torch.inference_mode():  # as an evaluation does
        found = load_classifier(Stripes(shape))
    assert found.accuracy == 1
    features, logits = found.network(torch.rand(5, *shape))
    assert features.shape == (5, 64)
    assert logits.shape == (5, 2)
    assert not found.network.training


@pytest.mark.slow
@pytest.mark.skipif(not Path(os.environ.get("GENLAB_DATA", "."), "MNIST").is_dir(), reason="needs MNIST")
def test_it_reads_the_test_digits_of_mnist(monkeypatch):
    monkeypatch.undo()
    assert classifier.train(Mnist(data_dir=os.environ["GENLAB_DATA"]), seed=0).accuracy > 0.99


def test_training_repeats_to_the_bit_and_leaves_the_random_state_alone(tables):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = load_classifier(Stripes((1, 8, 8)))
    assert torch.equal(torch.rand(3), expected)
    shutil.rmtree(tables)
    assert load_classifier(Stripes((1, 8, 8))).identity == first.identity
    assert load_classifier(Stripes((1, 8, 8)), seed=1).identity != first.identity


def test_it_trains_as_long_as_the_loss_of_held_out_training_images_falls(monkeypatch):
    for key, value in {"steps": 10_000, "steps_of_a_round": 20, "patience": 1}.items():
        monkeypatch.setitem(classifier.RECIPE, key, value)
    rounds, losses, logits = [], [], classifier._logits
    monkeypatch.setattr(classifier, "_logits", lambda *given: rounds.append(len(given[1])) or logits(*given))
    measure = classifier.cross_entropy
    monkeypatch.setattr(classifier, "cross_entropy", lambda *given: losses.append(measure(*given)) or losses[-1])
    found = classifier.train(Stripes((1, 8, 8)), seed=0)
    assert set(rounds[:-1]) == {10} and 4 <= len(rounds) < 40, "of a tenth, and it stops long before its last step"
    stopping = [loss.item() for loss in losses[20::21]]
    assert min(stopping) < stopping[0] / 2 and found.accuracy == 1


def test_it_is_trained_once_and_then_read(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "genlab")
    first = load_classifier(Stripes((1, 8, 8)))
    assert "training the classifier" in caplog.text
    monkeypatch.setattr(classifier, "train", lambda *_: pytest.fail("trained again"))
    second = load_classifier(Stripes((1, 8, 8)))
    assert (second.identity, second.accuracy) == (first.identity, first.accuracy)


def test_weights_of_another_network_are_trained_anew(monkeypatch):
    """A later version may build it differently under the same recipe."""
    first = load_classifier(Stripes((1, 8, 8)))
    build = classifier.Network.__init__

    def built(self, shape, num_classes):
        build(self, shape, num_classes)
        self.logits = torch.nn.Sequential(self.logits)

    monkeypatch.setattr(classifier.Network, "__init__", built)
    assert load_classifier(Stripes((1, 8, 8))).identity != first.identity


def test_no_more_examples_are_read_than_the_recipe_says(monkeypatch):
    monkeypatch.setitem(classifier.RECIPE, "most_training_examples", 10)
    x, y = classifier._gather(Stripes((1, 8, 8)), "train", 10, seed=0)
    assert (len(x), len(y), x.dtype) == (10, 10, torch.uint8)
    assert not torch.equal(x, classifier._gather(Stripes((1, 8, 8)), "train", 10, seed=1)[0])


def test_refuses_what_it_cannot_learn_from_with_the_way_out():
    with pytest.raises(ValueError, match=r"extractor=classifier.*has none; use extractor=pixels"):
        load_classifier(Stripes((1, 8, 8), num_classes=0))
    with pytest.raises(ValueError, match="8x8 pixels or more, and these are 7x9"):
        load_classifier(Stripes((1, 7, 9)))


def test_the_fingerprint_sees_a_single_pixel_and_the_split():
    source = Stripes((1, 8, 8))
    before = data_fingerprint(source)
    assert before == data_fingerprint(Stripes((1, 8, 8)))
    assert before != data_fingerprint(source, "validation")
    table = source.open("train")[0]
    table.fields["x"][50, 0, 3, 3] ^= 1
    source.open = lambda split: [table]
    assert before != data_fingerprint(source)
