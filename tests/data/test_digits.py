"""The packaged digits: read without scikit-learn, equal to what scikit-learn reads, split by the seed."""

import subprocess
import sys

import numpy as np
import torch

from genlab.data.digits import Digits, read_table


def test_equals_what_scikit_learn_reads():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    assert np.array_equal(read_table(), np.column_stack([images, labels]))


def test_fields_match_the_spec():
    source = Digits(size=16)
    for split, count in {"train": 1617, "validation": 180}.items():
        fields = source.open(split)[0].load()
        assert source.sizes[split] == count
        assert fields["image"].shape == (count, *source.spec.shape) and fields["image"].dtype == torch.uint8
        assert fields["label"].shape == (count,) and fields["label"].dtype == torch.int64
        assert fields["label"].unique().tolist() == list(range(source.spec.num_classes))
    assert fields["image"].max() > 240 and fields["image"].min() == 0


def test_the_seed_chooses_the_split_and_nothing_is_lost():
    def images(split, seed):
        return Digits(size=8, seed=seed).open(split)[0].load()["image"]

    assert torch.equal(images("train", 0), images("train", 0))
    assert not torch.equal(images("train", 0), images("train", 1))
    whole = [torch.cat([images(split, seed) for split in ("train", "validation")]).double() for seed in (0, 1)]
    assert torch.equal(whole[0].sum(0), whole[1].sum(0))


def test_start_up_stays_light():
    """Importing every source and reading the digits loads none of the heavy libraries."""
    code = (
        "import sys, genlab.data.arrays, genlab.data.folders, genlab.data.shapes, genlab.data.stripes\n"
        "import genlab.data.torchvision_sets as sets\n"
        "from genlab.data.digits import Digits\n"
        "sets.Mnist(data_dir='data'); Digits().open('train')\n"
        "print([name for name in ('torchvision', 'sklearn', 'PIL', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
