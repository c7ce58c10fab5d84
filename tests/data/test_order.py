"""The stream of indices: every epoch a permutation, whatever pieces it is taken in, or draws by weight."""

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


def weighted(weights, *seed):
    """A stream that draws by the tensor `weights`, which a test may change."""
    return IndexStream(len(weights), *(seed or (3,)), weights=lambda: weights)


@pytest.mark.parametrize("value", [1.0, 0.3, 1e-30])
def test_equal_weights_change_nothing(value):
    plain = IndexStream(40, 3).take(0, 100)
    assert torch.equal(weighted(torch.full((40,), value)).take(0, 100), plain)


def test_unequal_weights_draw_in_proportion():
    weights = torch.tensor([0.0, 1.0, 2.0, 5.0] * 250)
    counts = torch.bincount(weighted(weights).take(0, 100_000) % 4, minlength=4)
    expected = torch.tensor([0.0, 1.0, 2.0, 5.0]) / 8
    assert counts[0] == 0, "weight 0 is never drawn"
    # A fraction of 100,000 draws has a standard deviation below 0.0016.
    torch.testing.assert_close(counts / 100_000, expected, rtol=0, atol=0.008)


def test_draws_are_independent_and_the_first_and_last_example_are_among_them():
    weights = torch.ones(50)
    weights[0] = 1 + 1e-6  # not equal, so that examples are drawn and not permuted
    drawn = weighted(weights).take(0, 50 * 200).view(200, 50)
    assert min(len(epoch.unique()) for epoch in drawn) < 40, "an epoch repeats some examples, and leaves others out"
    assert torch.bincount(drawn.flatten(), minlength=50).min() > 100
    assert torch.equal(drawn.flatten(), weighted(weights).take(0, 50 * 200))
    assert not torch.equal(drawn.flatten(), weighted(weights, 4).take(0, 50 * 200))


def test_one_example_of_all_may_hold_the_weight():
    weights = torch.zeros(9)
    weights[8] = 1e-20
    assert weighted(weights).take(0, 9).tolist() == [8] * 9


def test_weights_are_read_when_an_epoch_starts_and_at_no_other_time():
    weights = torch.tensor([1.0, 0.0, 0.0])
    stream = weighted(weights)
    assert stream.take(0, 2).tolist() == [0, 0]
    weights.copy_(torch.tensor([0.0, 1.0, 0.0]))
    assert stream.take(2, 1).tolist() == [0], "the epoch goes on as it began"
    weights.copy_(torch.tensor([0.0, 0.0, 1.0]))
    assert stream.take(3, 3).tolist() == [2] * 3


def test_a_piece_across_a_border_ends_one_epoch_and_begins_another():
    weights = torch.tensor([1.0, 0.0])
    stream = weighted(weights)
    stream.take(0, 1)
    weights.copy_(torch.tensor([0.0, 1.0]))
    assert stream.take(1, 3).tolist() == [0, 1, 1]


def test_a_restored_state_goes_on_with_the_weights_that_the_epoch_began_with():
    weights = torch.rand(20) + 0.1
    stream = weighted(weights)
    whole = stream.take(0, 20)
    state = stream.state_dict()
    weights.copy_(torch.rand(20))
    restored = weighted(weights)
    restored.load_state_dict(state)
    assert torch.equal(restored.take(7, 13), whole[7:])
    assert torch.equal(restored.take(20, 20), stream.take(20, 20))
    restored.load_state_dict(state)
    assert torch.equal(restored.take(0, 20), whole), "also back from a later epoch"


def test_a_stream_without_weights_has_no_state():
    stream = IndexStream(5, 3)
    stream.take(0, 3)
    assert stream.state_dict() == {}
    stream.load_state_dict({})
    assert torch.equal(stream.take(0, 5), IndexStream(5, 3).take(0, 5))


@pytest.mark.parametrize("wrong", [[1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [float("inf"), 1.0]])
def test_weights_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="example_weights"):
        weighted(torch.tensor(wrong)).take(0, 1)
