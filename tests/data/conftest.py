"""Where the tests of this folder find real data."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Path:
    if "GENLAB_DATA" not in os.environ:
        pytest.skip("GENLAB_DATA does not name a folder of real datasets")
    return Path(os.environ["GENLAB_DATA"])


@pytest.fixture
def need(data_dir):
    """A path below the real data; the test is skipped where it is not there."""

    def find(place: str) -> str:
        if not (data_dir / place).exists():
            pytest.skip(f"{place} is not in GENLAB_DATA")
        return str(data_dir / place)

    return find
