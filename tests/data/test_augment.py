"""Flips and shifts of a whole batch against a plain loop over its images."""

import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.data.augment import augment

SHAPE = (2, 6, 9)


def spec_of(*names, paired=False):
    return DataSpec({name: Field("image", SHAPE) for name in names}, paired)


def batch_of(n=32, names=("x",), seed=5):
    torch.manual_seed(0)
    return Batch({name: torch.rand(n, *SHAPE) for name in names}, seed)


def flipped(x):
    return x.flip(-1)


def moved(x, down, right):
    """Pixel by pixel: what comes from outside is the nearest edge."""
    _, height, width = x.shape
    y = torch.empty_like(x)
    for row in range(height):
        for column in range(width):
            source = min(max(row - down, 0), height - 1), min(max(column - right, 0), width - 1)
            y[:, row, column] = x[:, source[0], source[1]]
    return y


def test_each_image_is_mirrored_or_left_alone():
    batch = batch_of(400)
    before = batch["x"].clone()
    augment(batch, spec_of("x"), flip=True, shift=0)
    mirrored = torch.tensor([torch.equal(y, flipped(x)) for x, y in zip(before, batch["x"], strict=True)])
    same = torch.tensor([torch.equal(y, x) for x, y in zip(before, batch["x"], strict=True)])
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def test_each_image_is_shifted_by_its_own_whole_pixels(shift=2):
    batch = batch_of(60)
    before = batch["x"].clone()
    augment(batch, spec_of("x"), flip=False, shift=shift)
    offsets = range(-shift, shift + 1)
    seen = set()
    for x, y in zip(before, batch["x"], strict=True):
        fitting = [(down, right) for down in offsets for right in offsets if torch.equal(y, moved(x, down, right))]
        assert len(fitting) == 1
        seen.add(fitting[0])
    assert {down for down, _ in seen} == {right for _, right in seen} == set(offsets)
    assert len(seen) > len(offsets), "down and right are drawn apart"


def changes(paired):
    """Which rows of each of two domains are mirrored."""
    batch = batch_of(200, names=("a", "b"))
    before = {name: batch[name].clone() for name in ("a", "b")}
    augment(batch, spec_of("a", "b", paired=paired), flip=True, shift=0)
    return [[not torch.equal(x, y) for x, y in zip(before[n], batch[n], strict=True)] for n in ("a", "b")]


def test_domains_are_moved_apart_unless_they_are_pairs():
    apart, together = changes(paired=False), changes(paired=True)
    assert apart[0] != apart[1]
    assert together[0] == together[1] and 60 < sum(together[0]) < 140


def test_pairs_are_shifted_as_one():
    batch = batch_of(50, names=("a", "b"))
    batch.fields["b"] = 1 - batch["a"]
    augment(batch, spec_of("a", "b", paired=True), flip=True, shift=2)
    assert torch.equal(batch["b"], 1 - batch["a"])


def test_what_is_not_asked_for_and_what_is_not_modelled_is_left_alone():
    batch = batch_of(20)
    before, batch.fields["label"] = batch["x"].clone(), torch.arange(20)
    augment(batch, spec_of("x"), flip=False, shift=0)
    assert torch.equal(batch["x"], before) and batch.draws == 0
    augment(batch, spec_of("x"), flip=True, shift=2)
    assert torch.equal(batch["label"], torch.arange(20))
