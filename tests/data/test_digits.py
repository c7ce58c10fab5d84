"""The packaged digits: read without scikit-learn, equal to what scikit-learn reads."""

import numpy as np

from genlab.data.digits import Digits, read_table


def test_equals_what_scikit_learn_reads():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    assert np.array_equal(read_table(), np.column_stack([images, labels]))


def test_white_is_white_and_black_is_black():
    image = Digits(size=8).open("train")[0].load()["x"]
    assert image.max() > 240 and image.min() == 0
