"""What tests of evaluation share: a cache of their own, and a classifier that is trained in a moment."""

from pathlib import Path

import pytest

from genlab.data import cache
from genlab.evaluation import classifier


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch) -> Path:
    """The folder of an empty cache, in which everything is worth keeping."""
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WORTH_SECONDS", -1.0)
    monkeypatch.setattr(cache, "WORTH_SPEED", float("inf"))
    monkeypatch.setitem(classifier.RECIPE, "steps", 40)
    monkeypatch.setitem(classifier.RECIPE, "batch_size", 32)
    return tmp_path / "cache/tables"
