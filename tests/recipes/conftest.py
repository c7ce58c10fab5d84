"""What several recipes are judged by: MNIST, and a reader of its digits."""

import os
from pathlib import Path

import pytest

from genlab.data.torchvision_sets import Mnist
from genlab.evaluation.classifier import train


@pytest.fixture(scope="session")
def data_dir() -> str:
    folder = os.environ.get("GENLAB_DATA")
    if not folder or not (Path(folder) / "MNIST").is_dir():
        pytest.skip("needs MNIST below $GENLAB_DATA")
    return folder


@pytest.fixture(scope="session")
def reader(data_dir):
    found = train(Mnist(data_dir=data_dir, size=None), seed=0)
    assert found.accuracy > 0.99
    return found.network
