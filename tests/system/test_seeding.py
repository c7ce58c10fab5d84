"""Seeds that do not collide, and draws that leave the global generators as they were."""

import torch

from genlab.system.seeding import mix, seeded


def test_mix_spreads_and_keeps_order_apart():
    pairs = {mix(a, b) for a in range(200) for b in range(200)}
    assert len(pairs) == 200 * 200
    assert all(0 <= value < 2**63 for value in pairs)
    assert mix(0) != mix(0, 0) != mix(0, 0, 0)


def test_mix_takes_any_seed_that_a_user_may_write():
    values = [mix(seed, 1) for seed in (-1, 0, 2**31, 2**63, 2**64 - 2)]
    assert len(set(values)) == 5
    for value in values:
        torch.manual_seed(value)


def test_neighbours_have_unrelated_bits():
    """Half of the bits differ on average, whichever bit of the input changed."""
    flips = [bin(mix(step, 3) ^ mix(step + 1, 3)).count("1") for step in range(2000)]
    assert abs(sum(flips) / len(flips) - 31.5) < 0.5


def test_seeded_draws_repeat_and_leave_no_trace():
    torch.manual_seed(0)
    expected = torch.randn(4)
    torch.manual_seed(0)
    with seeded(3, 4):
        inside = torch.randn(4)
    assert torch.equal(torch.randn(4), expected)
    with seeded(3, 4):
        assert torch.equal(torch.randn(4), inside)
    with seeded(4, 3):
        assert not torch.equal(torch.randn(4), inside)
