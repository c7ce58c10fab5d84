"""The packaged digits: read without scikit-learn, equal to what scikit-learn reads, split by the seed."""

import numpy as np
import torch

from genlab.data.digits import Digits, read_table


def test_equals_what_scikit_learn_reads():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    assert np.array_equal(read_table(), np.column_stack([images, labels]))


def test_nothing_is_lost_and_white_is_white():
    whole = [torch.cat([Digits(size=8, seed=seed).open(split)[0].load()["image"] for split in ("train", "validation")])
             for seed in (0, 1)]  # fmt: skip
    assert torch.equal(whole[0].double().sum(0), whole[1].double().sum(0))
    assert whole[0].max() > 240 and whole[0].min() == 0
