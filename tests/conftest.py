"""What every test starts from: one thread, 32-bit floats, no log handlers or Hydra state left by another test."""

import gc
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import composed_once  # noqa: F401
import lab
import pytest
import representatives
import torch


def pytest_addoption(parser):
    parser.addoption("--every-model", action="store_true", help="run the whole matrix of laws for every model")


def pytest_configure(config):
    if config.getoption("every_model"):
        representatives.choose(lab.CASES)


def pytest_collection_finish(session):
    gc.collect()
    gc.freeze()  # what lives on need not be looked through again, nor be copied by forked processes


def pytest_unconfigure(config):
    gc.unfreeze()


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory) -> Path:
    """A cache of these tests alone, so that the user's neither helps them nor grows by them."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def clean_process(monkeypatch, session_cache):
    torch.set_num_threads(1)
    monkeypatch.setattr("genlab.system.device.cores", SimpleNamespace(available=lambda: 1))  # others test beside
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setenv("GENLAB_CACHE", str(session_cache))
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    torch.set_default_dtype(torch.float32)
    if torch.are_deterministic_algorithms_enabled():
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
