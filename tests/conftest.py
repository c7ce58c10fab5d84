"""What every test starts from: one thread, 32-bit floats, no log handlers or Hydra state left by another test."""

import logging
import os
import sys

import pytest
import torch


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(sys, "argv", ["pytest"])
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    logger = logging.getLogger("genlab")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)


@pytest.fixture
def float64():
    """Double precision throughout: what differs by more than rounding then shows."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
