"""The stream of indices: every epoch a permutation, whatever pieces it is taken in."""

import pytest
import torch

from genlab.data.order import IndexStream


@pytest.mark.parametrize("size", [1, 7, 100])
def test_every_epoch_is_a_permutation(size):
    stream = IndexStream(size, 3)
    epochs = [stream.take(epoch * size, size) for epoch in range(4)]
    assert all(torch.equal(epoch.sort().values, torch.arange(size)) for epoch in epochs)
    assert size == 1 or not torch.equal(epochs[0], epochs[1])
    assert epochs[0].dtype == torch.int64


@pytest.mark.parametrize("pieces", [[1] * 50, [50], [13, 13, 13, 11], [9, 11, 30]])
def test_pieces_and_their_order_do_not_matter(pieces):
    """Also across the borders of epochs, several in one piece."""
    expected = torch.cat([IndexStream(10, 3).take(epoch * 10, 10) for epoch in range(5)])
    stream, end, taken = IndexStream(10, 3), 50, []
    for count in pieces:
        end -= count
        taken.insert(0, stream.take(end, count))
    assert torch.equal(torch.cat(taken), expected)


def test_streams_of_other_seeds_differ():
    seeds = [(0,), (1,), (0, 1), (1, 0)]
    orders = {tuple(IndexStream(50, *seed).take(0, 50).tolist()) for seed in seeds}
    assert len(orders) == len(seeds)
