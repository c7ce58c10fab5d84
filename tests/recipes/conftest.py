"""What several recipes are judged by: MNIST, and a reader of its digits."""

import os
from pathlib import Path

import pytest
from digit_reader import train_reader


@pytest.fixture(scope="session")
def data_dir() -> str:
    folder = os.environ.get("GENLAB_DATA")
    if not folder or not (Path(folder) / "MNIST").is_dir():
        pytest.skip("needs MNIST below $GENLAB_DATA")
    return folder


@pytest.fixture(scope="session")
def reader(data_dir):
    found, accuracy = train_reader(data_dir)
    assert accuracy >= 0.985
    return found
