"""The image pool by its rule for each row. Processes: `laws/test_splitting.py`; checkpoints: `laws/test_resume.py`."""

import pytest
import torch

from genlab.contract.data import Batch
from genlab.networks.image_pool import ImagePool

SHAPE = (1, 2, 2)


def fakes_of(step, total):
    """Images whose every pixel tells which step and row they come from: step + row / 1000."""
    numbers = step + torch.arange(total) / 1000
    return numbers[:, None, None, None].expand(total, *SHAPE).clone()


def whole_batch(step, total):
    return Batch({"a": torch.zeros(total, *SHAPE)}, seed=100 + step)


def test_full_pool_swaps_half_of_the_time_and_loses_nothing():
    pool, size, steps = ImagePool(8, SHAPE), 4, 500
    entered, left, passed = [], [], 0
    for step in range(steps):
        fakes = fakes_of(step, size)
        shown = pool.query(fakes, whole_batch(step, size), step)
        entered += fakes[:, 0, 0, 0].tolist()
        left += shown[:, 0, 0, 0].tolist()
        passed += (shown == fakes).flatten(1).all(1).sum().item() if step >= 2 else 0
    assert passed / (size * (steps - 2)) == pytest.approx(0.5, abs=0.05)
    # Each image is shown once, at once or later, or is still stored; the first fill is shown and stored.
    shown_or_stored = sorted(left + pool.images[:, 0, 0, 0].tolist())
    assert shown_or_stored == pytest.approx(sorted(entered + entered[:8]))


def by_hand(images, occupied, fakes, batch, step):
    """The pool's rule for one row after the other, on plain lists that it changes."""
    shown, size, draws = [], len(images), (batch.rand() < 0.5).tolist()
    for row, fake in enumerate(fakes):
        slot = (step * batch.total + row) % size
        if row >= size or (occupied[slot] and not draws[row]):
            shown.append(fake)
        else:
            shown.append(images[slot] if occupied[slot] else fake)
            images[slot], occupied[slot] = fake, True
    return torch.stack(shown)


@pytest.mark.parametrize(("size", "total"), [(50, 64), (50, 8), (7, 4), (3, 8), (1, 4), (8, 4)])
def test_a_batch_as_a_whole_or_in_slices_follows_the_rule_for_each_row(size, total):
    whole, sliced = ImagePool(size, SHAPE), ImagePool(size, SHAPE)
    images, occupied = list(torch.zeros(size, *SHAPE)), [False] * size
    for step in range(40):
        fakes, parts = fakes_of(step, total), whole_batch(step, total).split(4)
        expected = by_hand(images, occupied, fakes, whole_batch(step, total), step)
        assert torch.equal(whole.query(fakes, whole_batch(step, total), step), expected)
        shown = [sliced.query(fakes[part.offset : part.offset + part.size], part, step) for part in parts]
        assert torch.equal(torch.cat(shown), expected)
        for pool in (whole, sliced):
            assert torch.equal(pool.images, torch.stack(images)) and pool.occupied.tolist() == occupied


def test_shows_detached_images_and_keeps_them_unchanged():
    pool = ImagePool(4, SHAPE)
    weight = torch.ones((), requires_grad=True)
    shown = pool.query(fakes_of(0, 4) * weight, whole_batch(0, 4), 0)
    assert not shown.requires_grad
    stored = pool.images.clone()
    shown += 1
    assert torch.equal(pool.images, stored)


def test_a_pool_of_none_shows_what_it_is_given():
    assert torch.equal(ImagePool(0, SHAPE).query(fakes_of(0, 4), whole_batch(0, 4), 0), fakes_of(0, 4))
