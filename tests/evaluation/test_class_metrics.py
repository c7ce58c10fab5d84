"""Codes and nearest neighbours, of models whose answers are known."""

from types import SimpleNamespace

import pytest
import torch

from genlab.contract.data import Batch
from genlab.evaluation.channel_modes import channel_modes
from genlab.evaluation.class_metrics import measure_codes, measure_neighbours
from genlab.evaluation.samples import SampleBatch


class Context:
    """Batches of rows whose x is [N, 1], and their labels."""

    def __init__(self, x, labels, training=((0.0, 0), (10.0, 1))):
        self.splits = {False: (x, labels), True: tuple(zip(*training, strict=True))}

    def over_batches(self, what, work, training=False):
        x, labels = (torch.tensor(column) for column in self.splits[training])
        yield from (work(n, Batch({"x": x[n::2, None], "label": labels[n::2]}, seed=0)) for n in range(2))


def run_of(**capabilities):
    return SimpleNamespace(
        model=SimpleNamespace(requires={"x"}, given=lambda _: (), condition=lambda _: None, **capabilities)
    )


def test_codes_are_matched_with_classes_one_to_one():
    # Codes 2, 0, 1 stand for classes 0, 1, 2; one image in six is read wrongly.
    codes, labels = torch.tensor([2, 2, 0, 0, 1, 0]), [0, 0, 1, 1, 2, 2]
    run = run_of(classify=lambda x: torch.eye(3)[codes[x[:, 0].long()]])
    found = measure_codes(run, Context([0.0, 1, 2, 3, 4, 5], labels), 0)
    assert found["classification_error"].value == pytest.approx(1 / 6)


def test_a_code_for_everything_is_right_for_one_class_alone():
    run = run_of(classify=lambda x: torch.eye(3)[torch.zeros(len(x), dtype=torch.long)])
    found = measure_codes(run, Context([0.0, 1, 2, 3], [0, 0, 1, 2]), 0)
    assert found["classification_error"].value == pytest.approx(1 / 2)


def test_classes_that_were_told_are_not_matched():
    run = run_of(classify=lambda x: torch.eye(2)[(x[:, 0] < 2).long()])
    run.model.requires = {"x", "label"}
    assert measure_codes(run, Context([0.0, 1, 2, 3], [0, 0, 1, 1]), 0)["classification_error"].value == 1


def test_the_nearest_latents_of_training_images_tell_the_class():
    run = run_of(encode=lambda x: x.repeat(1, 3))
    found = measure_neighbours(run, Context([1.0, 9, 4, 6], [0, 1, 1, 1]), 0)["neighbour_accuracy"]
    assert found.value == pytest.approx(3 / 4) and found.details["training_images"] == 2


def test_combinations_of_channels_are_counted(monkeypatch):
    """A reader of the mean level, in tenths, of digits of one level each."""
    reader = SimpleNamespace(
        accuracy=1.0, identity="x", network=lambda x: (x, torch.eye(10)[(x.mean((1, 2, 3)) * 10).long()])
    )
    monkeypatch.setattr("genlab.evaluation.channel_modes.load_classifier", lambda source: reader)
    shape = SimpleNamespace(shape=(3, 8, 8), num_classes=10)
    context = SimpleNamespace(source=SimpleNamespace(channel=SimpleNamespace(spec=shape), spec=shape))
    metric = channel_modes(context, 4, 0)
    levels = torch.tensor([[0, 1, 2], [0, 1, 2], [2, 1, 0], [9, 9, 9]]) / 10 + 0.05
    metric.update(SampleBatch(levels[:, :, None, None].expand(-1, -1, 8, 8), None, None))
    found = metric.result()
    assert found["combinations_covered"].value == 3
    entropy = -(0.5 * torch.tensor(0.5).log() + 0.5 * torch.tensor(0.25).log())
    assert found["combination_divergence"].value == pytest.approx(
        (torch.tensor(1000.0).log() - entropy).item(), rel=1e-5
    )
