from math import log

import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from genlab.metrics.classes import ClassCounts, entropy, modes_covered


def certain_of(labels, num_classes, certainty=1.0):
    """Probabilities that put `certainty` on each label and share the rest."""
    rest = torch.full((len(labels), num_classes), (1 - certainty) / (num_classes - 1))
    return rest.scatter(1, labels[:, None], certainty)


def test_even_samples_cover_all_classes_and_have_the_largest_entropy():
    counts = ClassCounts(5)
    for part in certain_of(torch.arange(5).repeat(20), 5, 0.8).split(7):
        counts.update(part)
    result = counts.result()
    assert (result["classes_covered"], result["classes"], result["samples"]) == (5, 5, 100)
    assert result["entropy"] == pytest.approx(log(5)) == result["largest_entropy"]
    assert result["certainty"] == pytest.approx(0.8)
    assert "agreement" not in result


def test_a_class_counts_as_covered_from_a_tenth_of_its_fair_share_on():
    labels = torch.cat([torch.zeros(979), torch.full((20,), 1), torch.full((1,), 2)]).long()
    counts = ClassCounts(5)
    counts.update(certain_of(labels, 5))
    assert counts.result()["least_share"] == pytest.approx(0.02)
    assert counts.result()["classes_covered"] == 2
    assert counts.result()["shares"] == pytest.approx([0.979, 0.02, 0.001, 0, 0])


def test_entropy_is_that_of_scipy_and_a_missing_class_adds_nothing():
    counts = torch.tensor([5, 0, 2, 9])
    assert entropy(counts) == pytest.approx(scipy_entropy(counts.numpy()))
    assert entropy(torch.tensor([0, 7])) == 0


def test_agreement_is_the_share_of_labels_that_are_read_as_asked():
    counts = ClassCounts(4)
    counts.update(certain_of(torch.tensor([0, 1, 2]), 4), asked=torch.tensor([0, 1, 3]))
    counts.update(certain_of(torch.tensor([3]), 4), asked=torch.tensor([3]))
    assert counts.result()["agreement"] == 0.75


def test_no_samples_have_no_classes():
    with pytest.raises(ValueError, match="no samples"):
        ClassCounts(3).result()


def test_a_mode_is_covered_by_one_point_within_three_deviations():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = torch.tensor([[0.1, 0.0], [0.0, -0.2], [10.29, 0.0], [0.0, 10.31], [5.0, 5.0]])
    result = modes_covered(points, centres, deviation=0.1)
    assert (result["modes_covered"], result["modes"]) == (2, 4)
    assert result["high_quality"] == pytest.approx(3 / 5)


def test_a_point_belongs_to_the_mode_that_is_the_fewest_deviations_away():
    centres = torch.tensor([[0.0], [4.0]])
    result = modes_covered(torch.tensor([[2.5], [0.5], [3.9]]), centres, deviation=torch.tensor([1.0, 0.1]))
    assert result["counts"] == [2, 1] and result["high_quality"] == 1.0
