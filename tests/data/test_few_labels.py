import pytest
import torch

from genlab.data.digits import Digits
from genlab.data.few_labels import FewLabels


def marks_of(count, seed=0, split="train"):
    (table,) = FewLabels(Digits(size=8), count, seed).open(split)
    found = table.load()
    assert torch.equal(table.rows(torch.tensor([3, 1]))["labelled"], found["labelled"][[3, 1]])
    return found["labelled"], found["label"]


@pytest.mark.parametrize("count", [10, 47, 1000])
def test_labels_are_drawn_evenly_over_the_classes(count):
    marks, labels = marks_of(count)
    assert set(marks.tolist()) == {0, round(1617 / count)} and (marks > 0).sum() == count
    counts = labels[marks > 0].bincount(minlength=10)
    assert counts.max() - counts.min() <= 1
    assert torch.equal(marks, marks_of(count)[0]) and not torch.equal(marks, marks_of(count, seed=1)[0])


def test_held_out_examples_keep_their_labels():
    assert marks_of(10, split="validation")[0].all()


@pytest.mark.parametrize("count", [9, 10**6])
def test_too_few_and_too_many_labels_are_refused(count):
    with pytest.raises(ValueError, match=rf"dataset\.num_labels={count}: must be 10 .* to 1617"):
        FewLabels(Digits(size=8), count)
