"""Hydra's work is done once in a process; imported for its effect, before anything is composed.

A config takes a tenth of a second: the same 20 files were parsed again for each one, each override several times, and
the same configs composed again, in a quarter of the time of all tests.
"""

import copy
import os
import pickle
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

_MOST = 400
"""Configs kept, of 40 kB each."""

_read, _compose, _parse = OmegaConf.load, ConfigLoaderImpl.load_configuration, OverridesParser.parse_rule
_files: dict = {}
_configs: dict = {}
_rules: dict = {}


def _load(file):
    status = os.stat(file if isinstance(file, (str, Path)) else file.fileno())
    key = status.st_ino, status.st_size, status.st_mtime_ns
    if key not in _files:
        _files[key] = pickle.dumps(_read(file))
    return pickle.loads(_files[key])


def _load_configuration(self, *asked, **modes):
    if len(self.config_search_path.get_path()) > 3:  # with files of plugins, which a test may edit
        return _compose(self, *asked, **modes)
    key = repr((str(self.config_search_path), asked, modes))
    if key not in _configs:
        if len(_configs) == _MOST:
            _configs.pop(next(iter(_configs)))
        _configs[key] = pickle.dumps(_compose(self, *asked, **modes))
    found = pickle.loads(_configs[key])
    found.hydra.runtime.cwd = os.getcwd()
    return found


def _parse_rule(self, text, rule):
    if (text, rule) not in _rules:
        _rules[text, rule] = _parse(self, text, rule)
    return copy.copy(_rules[text, rule])


OmegaConf.load = staticmethod(_load)
ConfigLoaderImpl.load_configuration = _load_configuration
OverridesParser.parse_rule = _parse_rule
ConfigStore.__deepcopy__ = lambda store, memo: store  # it copies what it gives
