"""Every dataset's YAML lists every option of its source, with the source's own default, and says what it is."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

FILES = sorted((Path(__file__).parents[2] / "configs" / "dataset").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_lists_the_options_of_its_source(file):
    config = OmegaConf.load(file)
    values = OmegaConf.to_container(config, resolve=False)
    parameters = inspect.signature(get_class(values.pop("_target_"))).parameters
    assert list(values) == list(parameters)
    for name, value in values.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        if value != f"${{{name}}}":
            default = parameters[name].default
            wanted = list(default) if isinstance(default, tuple) else default
            assert value == wanted or (name == "path" and value is None)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_explains_every_option(file):
    first, *lines = file.read_text().splitlines()
    assert first.startswith("# ")  # what `genlab list` says of it
    assert all(" # " in line or line.startswith("_target_") or line == "seed: ${seed}" for line in lines)
