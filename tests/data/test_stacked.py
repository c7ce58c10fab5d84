import gzip

import numpy as np
import pytest
import torch

from genlab.data.stacked import StackedDigits
from genlab.data.torchvision_sets import Mnist


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve images for either split, each of one grey level, and the sources are told to expect as many."""
    monkeypatch.setenv("GENLAB_CACHE", "")
    monkeypatch.setattr(Mnist, "sizes", {"train": 12, "validation": 12})
    images = np.arange(12, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    for file in Mnist(data_dir=str(tmp_path)).files():
        path = tmp_path / f"{file}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(idx(images if "images" in file else images[:, 0, 0] % 10)))
        (tmp_path / file).write_bytes(idx(images if "images" in file else images[:, 0, 0] % 10))
    return str(tmp_path)


def test_channels_are_digits_drawn_by_the_seed(folder):
    def levels(seed, split="train"):
        (table,) = StackedDigits(data_dir=folder, seed=seed).open(split)
        x = table.load()["x"]
        assert x.shape == (12, 3, 28, 28) and x.dtype == torch.uint8
        assert (x == x[..., :1, :1]).all(), "each channel is one image"
        return x[..., 0, 0]

    found = levels(0)
    assert len(found.unique()) > 6 and any(len(set(row.tolist())) == 3 for row in found)
    assert torch.equal(found, levels(0)) and not torch.equal(found, levels(1))
    assert not torch.equal(found, levels(0, "validation"))


def test_it_knows_what_its_channels_are_images_of(folder):
    source = StackedDigits(data_dir=folder)
    assert source.channel.spec.num_classes == 10 and "label" not in source.spec
