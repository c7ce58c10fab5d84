"""What every test starts from: one thread, 32-bit floats, no log handlers or Hydra state left by another test."""

import copy
import logging
import os
import sys
from pathlib import Path

import lab
import pytest
import representatives
import torch
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf


def pytest_addoption(parser):
    parser.addoption("--every-model", action="store_true", help="run the whole matrix of laws for every model")


def pytest_configure(config):
    if config.getoption("every_model"):
        representatives.choose(lab.CASES)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory) -> Path:
    """A cache of these tests alone, so that the user's neither helps them nor grows by them."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def composed_once():
    """Hydra takes a tenth of a second for a config, and composed the same ones again in a quarter of the time of all
    tests; it parsed the same 20 files again for every config, and copied the schemas of all commands."""
    read, parsed = OmegaConf.load, {}
    compose, configs = ConfigLoaderImpl.load_configuration, {}

    def load(file):
        status = os.stat(file if isinstance(file, (str, Path)) else file.fileno())
        key = status.st_ino, status.st_size, status.st_mtime_ns
        if key not in parsed:
            parsed[key] = read(file)
        return copy.deepcopy(parsed[key])

    def load_configuration(self, *asked, **modes):
        if len(self.config_search_path.get_path()) > 3:  # with files of plugins, which a test may edit
            return compose(self, *asked, **modes)
        key = repr((str(self.config_search_path), os.getcwd(), asked, modes))
        if key not in configs:
            if len(configs) == 100:  # a config is a megabyte
                configs.pop(next(iter(configs)))
            configs[key] = compose(self, *asked, **modes)
        return copy.deepcopy(configs[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load)
        patch.setattr(ConfigLoaderImpl, "load_configuration", load_configuration)
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, memo: store, raising=False)  # copies what it gives
        yield


@pytest.fixture(autouse=True)
def clean_process(monkeypatch, session_cache):
    torch.set_num_threads(1)
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
