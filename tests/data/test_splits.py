"""Splits are partitions of the promised sizes."""

import pytest
import torch

from genlab.data.splits import split_rows, split_sizes


@pytest.mark.parametrize("count", [2, 10, 997])
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("block_size", [1, 7])
def test_is_a_partition_of_the_promised_sizes(count, fraction, block_size):
    rows = split_rows(count, fraction, seed=0, block_size=block_size)
    assert {split: len(index) for split, index in rows.items()} == split_sizes(count, fraction)
    assert min(split_sizes(count, fraction).values()) >= 1
    assert torch.cat(list(rows.values())).sort().values.tolist() == list(range(count))
